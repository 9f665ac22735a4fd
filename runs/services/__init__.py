"""What can be done with runs: keyword-only functions, verb first. The API, the admin and other apps call these."""

from runs.services.backlog import require_room
from runs.services.bulk import BulkResult, steer_runs
from runs.services.failures import resolve_failure, retry_failure
from runs.services.intents import cancel_live_runs, cancel_run, pause_run, resume_run
from runs.services.ordering import change_priority, run_now
from runs.services.outside import complete_step, decide_approval, override_step
from runs.services.publishing import match_recorded, publish_event
from runs.services.replaying import replay_run
from runs.services.retrying import retry_run
from runs.services.start import Origin, Started, StartItem, Trigger, start_run, start_runs

__all__ = [
    "BulkResult",
    "Origin",
    "StartItem",
    "Started",
    "Trigger",
    "cancel_live_runs",
    "cancel_run",
    "change_priority",
    "complete_step",
    "decide_approval",
    "match_recorded",
    "override_step",
    "pause_run",
    "publish_event",
    "replay_run",
    "require_room",
    "resolve_failure",
    "resume_run",
    "retry_failure",
    "retry_run",
    "run_now",
    "start_run",
    "start_runs",
    "steer_runs",
]
