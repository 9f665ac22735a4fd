"""What the OpenAPI document says of each operation beside the docstring of its action."""

from typing import Any, Final

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter

from flowforge.api.operations import AT, Operation, asked, given
from flowforge.schedules.api.serializers import (
    BackfillBody,
    BackfillShown,
    EmptyBody,
    ExplanationShown,
    NewScheduleBody,
    PreviewShown,
    ScheduleBody,
    ScheduleShown,
    SimulateBody,
    SimulatedShown,
    TriggerBody,
)
from flowforge.schedules.constants import MAX_PREVIEW
from workflows.bodies import DecisionShown

_SCHEDULE: Final = "01981f5e-0000-7000-8000-000000000004"
_WORKFLOW: Final = "01981f5e-0000-7000-8000-000000000002"
_PROJECT: Final = "01981f5e-0000-7000-8000-000000000001"
_RUN: Final = "01981f5e-2a4b-7c3d-8e9f-0a1b2c3d4e5f"
_BACKFILL: Final = "01981f5e-0000-7000-8000-000000000005"
_DUE: Final = "2026-01-02T05:30:00.000000Z"
_ASKED: Final[dict[str, Any]] = {
    "workflow_id": _WORKFLOW,
    "name": "Every morning",
    "cron": "30 6 * * MON-FRI",
    "timezone": "Europe/Berlin",
    "inputs": {"region": "eu"},
    "overlap": "queue",
    "catch_up": "last",
    "jitter": "30s",
}
_SHOWN: Final[dict[str, Any]] = {
    "id": _SCHEDULE,
    "project_id": _PROJECT,
    "workflow_id": _WORKFLOW,
    "name": "Every morning",
    "kind": "cron",
    "cron": "30 6 * * MON-FRI",
    "every": None,
    "at": None,
    "timezone": "Europe/Berlin",
    "inputs": {"region": "eu"},
    "overlap": "queue",
    "catch_up": "last",
    "catch_up_window": "1d",
    "jitter": "30s",
    "starts_at": None,
    "ends_at": None,
    "enabled": True,
    "status": "active",
    "next_run_at": "2026-01-02T05:30:11.417000Z",
    "last_run_at": None,
    "last_due_at": None,
    "error": None,
    "quarantined_at": None,
    "created_at": AT,
    "updated_at": AT,
}
_PREVIEWED: Final = {
    "due_at": "2026-03-29T01:00:00.000000Z",
    "local": "2026-03-29T03:00:00+02:00",
    "dst": "gap",
    "run_at": "2026-03-29T01:00:04.120000Z",
}
_DECIDED: Final = {
    "id": _RUN,
    "at": AT,
    "decision": "skipped",
    "reason": "overlap",
    "detail": "",
    "due_at": _DUE,
    "until_at": None,
    "run_id": _RUN,
}
_EXPLAINED: Final = {
    "summary": "The schedule is paused.",
    "causes": [
        {
            "code": "paused",
            "message": "The schedule is paused.",
            "holder": {"type": "schedule", "id": _SCHEDULE},
            "since": None,
            "position": None,
            "unblock": [f"POST /v1/schedules/{_SCHEDULE}:resume"],
        }
    ],
}
_BACKFILLED: Final = {
    "id": _BACKFILL,
    "schedule_id": _SCHEDULE,
    "status": "running",
    "from": "2026-01-01T00:00:00.000000Z",
    "to": "2026-01-08T00:00:00.000000Z",
    "total": 5,
    "started": 1,
    "skipped": 1,
    "rejected": 0,
    "created_at": AT,
    "finished_at": None,
}
_SIMULATION: Final = {
    "schedule": {"cron": "30 2 * * *", "timezone": "Europe/Berlin", "overlap": "queue", "catch_up": "all"},
    "from": "2026-03-28T00:00:00Z",
    "to": "2026-03-31T00:00:00Z",
    "downtime": [{"from": "2026-03-30T00:00:00Z", "to": "2026-03-30T04:00:00Z"}],
    "run_duration": "10m",
}
_PLAYED: Final = {
    "due_at": "2026-03-29T01:00:00.000000Z",
    "local": "2026-03-29T03:00:00+02:00",
    "dst": "gap",
    "decision": "fired",
    "reason": "on_time",
    "run_at": "2026-03-29T01:00:00.000000Z",
    "until_at": None,
}
_STARTED: Final = {"id": _RUN, "workflow_id": _WORKFLOW, "trigger": {"type": "schedule", "id": _SCHEDULE}}


LIST: Final[Operation] = {"responses": ScheduleShown(many=True), "examples": [given(_SHOWN)]}
CREATE: Final[Operation] = {
    "request": NewScheduleBody,
    "responses": {201: ScheduleShown},
    "examples": [asked(_ASKED), given(_SHOWN, "201")],
}
RETRIEVE: Final[Operation] = {"responses": ScheduleShown, "examples": [given(_SHOWN)]}
PATCH: Final[Operation] = {
    "request": ScheduleBody,
    "responses": ScheduleShown,
    "examples": [asked({"cron": "0 7 * * *"}), given({**_SHOWN, "cron": "0 7 * * *"})],
}
DESTROY: Final[Operation] = {"responses": {204: None}}
PAUSE: Final[Operation] = {
    "request": EmptyBody,
    "responses": ScheduleShown,
    "examples": [given({**_SHOWN, "enabled": False, "status": "paused", "next_run_at": None})],
}
RESUME: Final[Operation] = {"request": EmptyBody, "responses": ScheduleShown, "examples": [given(_SHOWN)]}
TRIGGER: Final[Operation] = {
    "request": TriggerBody,
    "responses": {202: OpenApiTypes.OBJECT},
    "examples": [asked({"inputs": {"region": "us"}}), given(_STARTED, "202")],
}
PREVIEW: Final[Operation] = {
    "parameters": [
        OpenApiParameter("count", OpenApiTypes.INT, description=f"1 to {MAX_PREVIEW}; 5 by default.", required=False)
    ],
    "responses": PreviewShown(many=True),
    "examples": [given(_PREVIEWED)],
}
EXPLAIN: Final[Operation] = {"responses": ExplanationShown, "examples": [given(_EXPLAINED)]}
DECISIONS: Final[Operation] = {"responses": DecisionShown(many=True), "examples": [given(_DECIDED)]}
SIMULATE: Final[Operation] = {
    "operation_id": "schedules_simulate",
    "request": SimulateBody,
    "responses": SimulatedShown(many=True),
    "examples": [asked(_SIMULATION), given(_PLAYED)],
}
BACKFILL: Final[Operation] = {
    "operation_id": "schedules_backfill",
    "request": BackfillBody,
    "responses": {202: BackfillShown},
    "examples": [
        asked({"from": "2026-01-01T00:00:00Z", "to": "2026-01-08T00:00:00Z"}),
        given(_BACKFILLED, "202"),
    ],
}
BACKFILLS: Final[Operation] = {"responses": BackfillShown(many=True), "examples": [given(_BACKFILLED)]}
BACKFILL_READ: Final[Operation] = {"responses": BackfillShown, "examples": [given(_BACKFILLED)]}
BACKFILL_CANCEL: Final[Operation] = {
    "request": EmptyBody,
    "responses": BackfillShown,
    "examples": [given({**_BACKFILLED, "status": "cancelled", "finished_at": AT})],
}
