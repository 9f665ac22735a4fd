"""What the OpenAPI document says of steering runs, and of groups of failures."""

from typing import Any, Final

from flowforge.api.operations import AT, Operation, asked, given
from runs.api.docs import PENDING, PROJECT, RUN, WHOLE, WORKFLOW
from runs.api.serializers import (
    BulkBody,
    BulkShown,
    FailureShown,
    NoBody,
    PriorityBody,
    ReplayBody,
    RunShown,
)
from runs.services.bulk import MAX_RUNS

_FAILURE: Final = "7f3d1c52-90ab-8c4e-9d21-0a6b5c4d3e2f"
_BULK: Final[dict[str, Any]] = {
    "action": "retry",
    "dry_run": False,
    "matched": 42,
    "done": 40,
    "skipped": 2,
    "reasons": {"is_completed": 1, "conflict": 1},
    "has_more": False,
}
_GROUP: Final[dict[str, Any]] = {
    "id": _FAILURE,
    "project_id": PROJECT,
    "workflow_id": WORKFLOW,
    "workflow_name": "Daily import",
    "node_id": "fetch",
    "code": "http_status",
    "message": "GET <url>: <n>",
    "status": "open",
    "count": 17,
    "first_seen": AT,
    "last_seen": AT,
    "resolved_at": None,
    "sample_run_id": RUN,
}
_AGAIN: Final[dict[str, Any]] = {**WHOLE, "status": "running", "attempt": 2, "outputs": None, "finished_at": None}

PATCH: Final[Operation] = {
    "operation_id": "runs_partial_update",
    "summary": "Change a run's priority",
    "description": "Of a run that is pending; of one that has begun it would mean nothing (409).",
    "request": PriorityBody,
    "responses": RunShown,
    "examples": [asked({"priority": 9}), given({**PENDING, "priority": 9})],
}
RETRY: Final[Operation] = {
    "operation_id": "runs_retry",
    "summary": "Retry a run",
    "description": (
        "A run that failed or was cancelled goes on as its next `attempt` from the steps that failed or were "
        "cancelled, with what was skipped behind them. What completed is kept and never done again, and so is a "
        "failure that an edge or `on_error` has taken. In any other state: 409."
    ),
    "request": NoBody,
    "responses": {202: RunShown},
    "examples": [given(_AGAIN, "202")],
}
REPLAY: Final[Operation] = {
    "operation_id": "runs_replay",
    "summary": "Replay a run",
    "description": (
        "Starts a new run, linked by `replay_of`, with the same inputs, metadata and version, or with those given. "
        "With `from_node`, what is not downstream of that node and has completed is taken over with its outputs; all "
        "else runs. A node or version that is not there: 422."
    ),
    "request": ReplayBody,
    "responses": {202: RunShown},
    "examples": [
        asked({"inputs": {"day": "2026-01-02"}, "from_node": "load", "version": 3}),
        given({**PENDING, "replay_of": RUN, "trigger": {"type": "replay", "id": RUN}}, "202"),
    ],
}
RUN_NOW: Final[Operation] = {
    "operation_id": "runs_run_now",
    "summary": "Start a waiting run now",
    "description": (
        "A run that waits for its `run_at` starts at once; one that waits for a place goes before all others of its "
        "queues, by a priority above theirs. It breaks no limit. A run that waits for neither: 409."
    ),
    "request": NoBody,
    "responses": {202: RunShown},
    "examples": [given(PENDING, "202")],
}
BULK: Final[Operation] = {
    "operation_id": "runs_bulk",
    "summary": "Cancel or retry many runs",
    "description": (
        "`filter` has the members of the listing's query (`status` may be a list); an empty one is refused (422) "
        f'unless it is `{{"all": true}}`. Up to {MAX_RUNS:,} runs that can be acted on, oldest first, in transactions '
        "of some hundreds. With `dry_run` it counts and changes nothing."
    ),
    "request": BulkBody,
    "responses": BulkShown,
    "examples": [
        asked({"action": "retry", "filter": {"status": ["failed"], "created_after": AT}, "dry_run": True}),
        given(_BULK),
    ],
}
FAILURES_LIST: Final[Operation] = {
    "operation_id": "failures_list",
    "summary": "List groups of failures",
    "description": (
        "Failed runs, grouped by workflow, node, code and a message without its particulars; the newest failure "
        "first. What it costs follows the number of groups, not of runs."
    ),
    "responses": FailureShown(many=True),
    "examples": [given(_GROUP)],
}
FAILURES_RETRIEVE: Final[Operation] = {
    "operation_id": "failures_retrieve",
    "summary": "Read a group of failures",
    "description": "With how often, when first and when last it was seen, and the newest run that failed so.",
    "responses": FailureShown,
    "examples": [given(_GROUP)],
}
FAILURES_RETRY: Final[Operation] = {
    "operation_id": "failures_retry",
    "summary": "Retry the runs of a group",
    "description": f"Those that are failed still, oldest first, up to {MAX_RUNS:,}; it answers as `runs:bulk` does.",
    "request": NoBody,
    "responses": BulkShown,
    "examples": [given(_BULK)],
}
FAILURES_RESOLVE: Final[Operation] = {
    "operation_id": "failures_resolve",
    "summary": "Resolve a group of failures",
    "description": "Marks it as dealt with. The next such failure opens it again. Asking again changes nothing.",
    "request": NoBody,
    "responses": FailureShown,
    "examples": [given({**_GROUP, "status": "resolved", "resolved_at": AT})],
}
