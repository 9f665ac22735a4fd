"""What can be done with runs: keyword-only functions, verb first. The API, the admin and other apps call these."""

from runs.services.intents import cancel_live_runs, cancel_run, pause_run, resume_run
from runs.services.start import Origin, Started, StartItem, Trigger, start_run, start_runs

__all__ = [
    "Origin",
    "StartItem",
    "Started",
    "Trigger",
    "cancel_live_runs",
    "cancel_run",
    "pause_run",
    "resume_run",
    "start_run",
    "start_runs",
]
