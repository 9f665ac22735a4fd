"""What expressions see of a run: `inputs, steps, run, project, now`."""

import uuid
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any, Final, Protocol

from flowforge.core.clock import isoformat
from flowforge.core.json import Json
from flowforge.projects import selectors as projects

NOT_BEGUN: Final[dict[str, Json]] = {"status": "pending", "output": None, "error": None}  # in `steps`


class Scoped(Protocol):
    """What a run has to say of itself: its row as the engine reads it, and the model."""

    id: uuid.UUID
    project_id: uuid.UUID
    workflow_id: uuid.UUID
    attempt: int
    inputs: Json
    metadata: Json
    trigger_type: str
    created_at: datetime


class ProjectScope(Mapping[str, Any]):
    """`project`: its variables, read when they are first named."""

    def __init__(self, project_id: uuid.UUID) -> None:
        self._project_id = project_id
        self._values: dict[str, Any] | None = None

    def _load(self) -> dict[str, Any]:
        if self._values is None:
            settings = projects.settings_of(self._project_id)
            self._values = {"id": str(self._project_id), "variables": settings.get("variables", {})}
        return self._values

    def __getitem__(self, key: str) -> Any:
        return self._load()[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._load())

    def __len__(self) -> int:
        return len(self._load())


def scope_of(run: Scoped, steps: Mapping[str, Any], now: datetime) -> dict[str, Any]:
    """The names of an expression; `steps`: node -> {status, output, error}; `now` is text, as JSON has no moments."""
    return {
        "inputs": run.inputs,
        "steps": steps,
        "run": {
            "id": str(run.id),
            "workflow_id": str(run.workflow_id),
            "attempt": run.attempt,
            "created_at": isoformat(run.created_at),
            "metadata": run.metadata,
            "trigger": run.trigger_type,
        },
        "project": ProjectScope(run.project_id),
        "now": isoformat(now),
    }
