"""What expressions see of a run: `inputs, steps, run, project, now`. Results of steps are read when they are named."""

import uuid
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any

from flowforge.core.clock import isoformat
from flowforge.core.json import Json
from flowforge.engine.items import lists
from flowforge.engine.store import steps as store
from flowforge.engine.store.rows import ClaimedRun, StepRow
from flowforge.projects import selectors as projects

_KEPT = 2_000  # results of steps in memory, a run
_NOT_BEGUN: dict[str, Json] = {"status": "pending", "output": None, "error": None}


class Results(Mapping[str, Any]):
    """`steps`: node -> {status, output, error}; loads what it does not hold, keeps a bounded number."""

    def __init__(self, run_id: uuid.UUID) -> None:
        self._run_id = run_id
        self._held: dict[str, dict[str, Json]] = {}

    def put(self, node_id: str, status: str, output: Json, error: Json) -> None:
        """Remember a result that was just made: it may not be in the database yet."""
        if len(self._held) >= _KEPT:
            del self._held[next(iter(self._held))]
        self._held[node_id] = {"status": status, "output": output, "error": error}

    def load(self, node_ids: Iterable[str]) -> None:
        """Read what is missing of these in one query."""
        missing = [node_id for node_id in node_ids if node_id not in self._held]
        for node_id, (status, output, error) in store.load_outputs(self._run_id, missing).items():
            self.put(node_id, status, output, error)

    def __getitem__(self, node_id: str) -> dict[str, Json]:
        if node_id not in self._held:
            self.load([node_id])
        return self._held.get(node_id, _NOT_BEGUN)

    def __iter__(self) -> Iterator[str]:
        return iter(self._held)

    def __len__(self) -> int:
        return len(self._held)


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


def item_of(run: ClaimedRun, row: StepRow) -> dict[str, Any]:
    """What an item's step sees beside all else: `item` and `index`; nothing of a step that is none."""
    if row.item is None:
        return {}
    return {"item": lists.get(run, row.node_id)[row.index], "index": row.index}


def scope_of(run: ClaimedRun, results: Results, now: datetime) -> dict[str, Any]:
    """The names of an expression; `now` is text, as JSON has no moments."""
    return {
        "inputs": run.inputs,
        "steps": results,
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
