"""What expressions see of a run: `inputs, steps, run, project, now`."""

import uuid
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from functools import partial
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


class Lazy(Mapping[str, Any]):
    """An object of the scope that is put together when an expression first names it: most name few."""

    __slots__ = ("_load", "_values")

    def __init__(self, load: Callable[[], dict[str, Any]]) -> None:
        self._load = load
        self._values: dict[str, Any] | None = None

    def _loaded(self) -> dict[str, Any]:
        if self._values is None:
            self._values = self._load()
        return self._values

    def __getitem__(self, key: str) -> Any:
        return self._loaded()[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._loaded())

    def __len__(self) -> int:
        return len(self._loaded())


def _run(run: Scoped) -> dict[str, Any]:
    return {
        "id": str(run.id),
        "workflow_id": str(run.workflow_id),
        "attempt": run.attempt,
        "created_at": isoformat(run.created_at),
        "metadata": run.metadata,
        "trigger": run.trigger_type,
    }


def _project(project_id: uuid.UUID) -> dict[str, Any]:
    return {"id": str(project_id), "variables": projects.settings_of(project_id).get("variables", {})}


def scope_of(run: Scoped, steps: Mapping[str, Any], now: datetime) -> dict[str, Any]:
    """The names of an expression; `steps`: node -> {status, output, error}; `now` is text, as JSON has no moments."""
    return {
        "inputs": run.inputs,
        "steps": steps,
        "run": Lazy(partial(_run, run)),
        "project": Lazy(partial(_project, run.project_id)),
        "now": isoformat(now),
    }
