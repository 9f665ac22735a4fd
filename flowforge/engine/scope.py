"""The results of a run's steps as its expressions see them: read when they are named. The rest: runs/scope.py."""

import uuid
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from flowforge.core.json import Json
from flowforge.engine.items import lists
from flowforge.engine.store import steps as store
from flowforge.engine.store.rows import ClaimedRun, StepRow
from runs.scope import NOT_BEGUN

_KEPT = 2_000  # results of steps in memory, a run


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
        return self._held.get(node_id, NOT_BEGUN)

    def __iter__(self) -> Iterator[str]:
        return iter(self._held)

    def __len__(self) -> int:
        return len(self._held)


def item_of(run: ClaimedRun, row: StepRow) -> dict[str, Any]:
    """What an item's step sees beside all else: `item` and `index`; nothing of a step that is none."""
    if row.item is None:
        return {}
    return {"item": lists.get(run, row.node_id)[row.index], "index": row.index}
