"""What the OpenAPI document says of each operation."""

from typing import Any, Final

from drf_spectacular.utils import OpenApiExample

from flowforge.api.operations import AT, Operation
from flowforge.engine.api.serializers import LimitShown, RunExplanationShown

_RUN: Final = "01981f5e-0000-7000-8000-000000000003"
_PROJECT: Final = "01981f5e-0000-7000-8000-000000000001"
_CAUSE: Final = {
    "code": "concurrency_limit",
    "message": "As many runs of the project are running as its max_concurrent_runs allows.",
    "holder": {"type": "run", "id": _RUN},
    "since": AT,
    "until": None,
    "position": 3,
    "step": None,
    "unblock": ["cancel_holder", "run_now"],
}
_LIMIT: Final = {
    "kind": "project_runs",
    "scope": {"type": "project", "id": _PROJECT},
    "key": None,
    "limit": "20",
    "occupied": 20,
    "waiting": 7,
    "holders": [{"type": "run", "id": _RUN, "since": AT}],
    "free_at": None,
}


def _given(value: Any) -> list[OpenApiExample]:
    return [OpenApiExample("Answer", value=value, response_only=True, status_codes=["200"])]


EXPLAIN: Final[Operation] = {
    "operation_id": "runs_explain",
    "summary": "Explain why a run does not move",
    "description": (
        "By the functions that decide what begins, at this moment: where there is no cause, it moves. Of limits, "
        "`position` is the run's place in the queue; `unblock` names actions that would help."
    ),
    "responses": RunExplanationShown,
    "examples": _given({"summary": _CAUSE["message"], "causes": [_CAUSE]}),
}
LIMITS: Final[Operation] = {
    "operation_id": "projects_limits",
    "summary": "List a project's limits with who occupies them",
    "description": (
        "Occupancy is counted from live rows, never kept in a counter. A changed limit holds at once, for what waits "
        "too."
    ),
    "responses": LimitShown(many=True),
    "examples": _given([_LIMIT]),
}
