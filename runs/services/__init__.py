"""What can be done with runs: keyword-only functions, verb first. The API, the admin and other apps call these."""

from runs.services.intents import cancel_live_runs, cancel_run, pause_run, resume_run
from runs.services.outside import complete_step, decide_approval, override_step
from runs.services.publishing import match_event, publish_event
from runs.services.start import Origin, Started, StartItem, Trigger, start_run, start_runs

__all__ = [
    "Origin",
    "StartItem",
    "Started",
    "Trigger",
    "cancel_live_runs",
    "cancel_run",
    "complete_step",
    "decide_approval",
    "match_event",
    "override_step",
    "pause_run",
    "publish_event",
    "resume_run",
    "start_run",
    "start_runs",
]
