"""What the OpenAPI document says of each operation of this app."""

from typing import Final

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter

from flowforge.api.operations import AT, Operation, asked, given, query
from flowforge.kernel.states import RUN_STATUSES
from runs.api.serializers import (
    BatchAnswerShown,
    BatchBody,
    EventShown,
    ExecuteBody,
    ExecutionShown,
    LogShown,
    NoBody,
    RunRowShown,
    RunShown,
    StartBody,
    StepShown,
)
from runs.constants import DEFAULT_EVENTS, MAX_BATCH, MAX_EVENTS

RUN = "01981f5e-2a4b-7c3d-8e9f-0a1b2c3d4e5f"
STEP = "01981f5e-2a4b-7f00-9a51-3c5d7e9f1b2d"
WORKFLOW = "01981f5e-0000-7000-8000-000000000002"
PROJECT = "01981f5e-0000-7000-8000-000000000001"

_LOG: Final = {"at": AT, "level": "info", "message": "GET https://example.com/2026-01-01: 200"}
_STEP_SHOWN: Final = {
    "id": STEP,
    "node_id": "fetch",
    "name": "Fetch the day's orders",
    "type": "http",
    "status": "completed",
    "attempt": 1,
    "max_attempts": 5,
    "inputs": {"method": "GET", "url": "https://example.com/2026-01-01"},
    "output": {"status": 200, "json": {"total": 3}},
    "error": None,
    "branch": None,
    "worker": "default@host",
    "started_at": AT,
    "finished_at": AT,
    "duration_ms": 80,
    "logs": [_LOG],
}
_ROW: Final = {
    "id": RUN,
    "workflow_id": WORKFLOW,
    "workflow_name": "Daily import",
    "workflow_version": 3,
    "project_id": PROJECT,
    "status": "completed",
    "status_reason": None,
    "attempt": 1,
    "priority": 0,
    "trigger": {"type": "api", "id": None},
    "inputs": {"day": "2026-01-01"},
    "outputs": {"rows": 3},
    "metadata": {"customer": "acme"},
    "error": None,
    "metrics": {
        "queue_ms": 4,
        "duration_ms": 812,
        "steps_total": 1,
        "steps_completed": 1,
        "steps_failed": 0,
        "steps_skipped": 0,
        "retries": 0,
        "llm_cost": 0,
    },
    "parent_run_id": None,
    "replay_of": None,
    "trace_id": "4bf92f3577b34da6a3ce929d0e0e4736",
    "created_at": AT,
    "started_at": AT,
    "finished_at": AT,
}
WHOLE: Final = {**_ROW, "steps": [_STEP_SHOWN]}
PENDING: Final = {
    **_ROW,
    "status": "pending",
    "outputs": None,
    "metrics": {**_ROW["metrics"], "queue_ms": None, "duration_ms": None, "steps_completed": 0},  # type: ignore[dict-item]  # a dict of mixed values
    "started_at": None,
    "finished_at": None,
}
_EVENT: Final = {
    "seq": 3,
    "at": AT,
    "event": "step.started",
    "run_id": RUN,
    "step_id": STEP,
    "data": {"node_id": "fetch", "status": "running", "attempt": 1},
}
_PROBLEM: Final = {
    "type": "/v1/problems/invalid",
    "title": "The request is invalid",
    "status": 422,
    "detail": "The inputs don't fit the workflow's input_schema.",
    "code": "invalid",
    "errors": [{"pointer": "/items/1/inputs/day", "code": "required", "detail": "is required"}],
}


LIST: Final[Operation] = {
    "operation_id": "runs_list",
    "summary": "List runs",
    "description": "Newest first, without their steps. `metadata.<key>=<value>` filters by any label of yours.",
    "parameters": [
        query("status", "Several: repeated, or with commas between.", many=True, enum=RUN_STATUSES),
        query("workflow_id", "Of this workflow.", OpenApiTypes.UUID),
        query("project_id", "Of this project.", OpenApiTypes.UUID),
        query("parent_run_id", "Started by steps, or the failure, of this run.", OpenApiTypes.UUID),
        query("trigger", "What began them: `api, schedule, webhook, workflow, on_failure` …"),
        query("created_after", "Later than this moment.", OpenApiTypes.DATETIME),
        query("created_before", "Earlier than this moment.", OpenApiTypes.DATETIME),
        query("has_error", "With or without an error.", OpenApiTypes.BOOL),
        query("q", "Part of the workflow's name or of the error's message, or the beginning of the run's id."),
    ],
    "responses": RunRowShown(many=True),
    "examples": [given(_ROW)],
}
RETRIEVE: Final[Operation] = {
    "operation_id": "runs_retrieve",
    "summary": "Read a run",
    "description": (
        "With its steps in the definition's order, those that have not begun too, and the newest 20 log lines of each. "
        "A run of more than 1,000 steps pages them under `/v1/runs/{id}/steps`."
    ),
    "parameters": [query("include", "`steps`, the default; empty: without them.")],
    "responses": RunShown,
    "examples": [given(WHOLE)],
}
START: Final[Operation] = {
    "operation_id": "workflows_run",
    "summary": "Start a run",
    "description": (
        "The run is on disk before the answer leaves. With `wait` the answer comes when the run has ended (200), or "
        "when that time is up (202). A `dedupe_key` that has a run already gets that one (200). Where the definition "
        "has a `debounce`, all calls with its key get the same run (202) until that begins. Where its `concurrency` "
        "says `reject` and there is no place: 409, code `concurrency_conflict`, with a `holder`."
    ),
    "request": StartBody,
    "responses": {202: RunShown, 200: RunShown},
    "examples": [
        asked({"inputs": {"day": "2026-01-01"}, "metadata": {"customer": "acme"}, "wait": "10s"}),
        given(WHOLE),
        given(PENDING, "202"),
    ],
}
BATCH: Final[Operation] = {
    "operation_id": "workflows_run_batch",
    "summary": "Start many runs",
    "description": (
        f"Up to {MAX_BATCH}, in one transaction; an answer per item, in order. An item that is wrong gets its problem "
        "and hinders no other."
    ),
    "request": BatchBody,
    "responses": {202: BatchAnswerShown(many=True)},
    "examples": [
        asked({"items": [{"inputs": {"day": "2026-01-01"}}, {"inputs": {}}]}),
        given({"run": PENDING}, "202"),
        given({"error": _PROBLEM}, "202", "An item that is wrong"),
    ],
}
EXECUTE: Final[Operation] = {
    "operation_id": "workflows_execute",
    "summary": "Start a run, as FlowAtGenAI does",
    "description": "The same as `:run` in other words. The answer has no envelope; the execution is a run.",
    "request": ExecuteBody,
    "responses": {202: ExecutionShown},
    "examples": [
        asked({"input": {"day": "2026-01-01"}}),
        given({"execution_id": RUN, "status": "RUNNING"}, "202"),
    ],
}
CANCEL: Final[Operation] = {
    "operation_id": "runs_cancel",
    "summary": "Cancel a run",
    "description": "Live processes and calls are stopped within 2 seconds. Asking again changes nothing; ended: 409.",
    "request": NoBody,
    "responses": {202: RunShown},
    "examples": [given(WHOLE, "202")],
}
PAUSE: Final[Operation] = {
    "operation_id": "runs_pause",
    "summary": "Pause a run",
    "description": "No new step begins; those that run go on. Asking again changes nothing; ended: 409.",
    "request": NoBody,
    "responses": {202: RunShown},
    "examples": [given(WHOLE, "202")],
}
RESUME: Final[Operation] = {
    "operation_id": "runs_resume",
    "summary": "Resume a run",
    "description": "Takes a pause back. Not paused, or ended: 409.",
    "request": NoBody,
    "responses": {202: RunShown},
    "examples": [given(WHOLE, "202")],
}
STEPS: Final[Operation] = {
    "operation_id": "runs_steps",
    "summary": "List a run's steps",
    "description": "In the definition's order, those that have not begun too.",
    "responses": StepShown(many=True),
    "examples": [given(_STEP_SHOWN)],
}
LOGS: Final[Operation] = {
    "operation_id": "runs_step_logs",
    "summary": "Read a step's log",
    "description": "All lines of all attempts, oldest first.",
    "responses": LogShown(many=True),
    "examples": [given(_LOG)],
}
EVENTS: Final[Operation] = {
    "operation_id": "runs_events",
    "summary": "Read a run's history",
    "description": "Every transition and every log line, in order. `seq` begins at 1 and has no gaps.",
    "parameters": [
        query("after", "Go on after this `seq`.", OpenApiTypes.INT),
        OpenApiParameter(
            "limit",
            {"type": "integer", "minimum": 1, "maximum": MAX_EVENTS, "default": DEFAULT_EVENTS},
            description="How many a page holds.",
        ),
    ],
    "responses": EventShown(many=True),
    "examples": [given(_EVENT)],
}
