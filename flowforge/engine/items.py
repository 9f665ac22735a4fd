"""The lists that maps go over, and what comes of them."""

import threading
import uuid
from collections import OrderedDict

from flowforge.core.ids import step_id
from flowforge.core.json import Json
from flowforge.engine.outcomes import MAX_OUTPUT_BYTES
from flowforge.engine.store import items as store
from flowforge.engine.store.rows import ClaimedRun
from flowforge.kernel.definition import Node
from flowforge.kernel.mapping import MapState, error_of
from flowforge.kernel.runstate import RunState
from flowforge.steps.base import Completed, Failed

_KEPT = 32  # lists in memory, of at most 1 MiB of JSON each


class _Lists:
    """The lists that were used last. A list never changes while its map goes over it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._lists: OrderedDict[tuple[uuid.UUID, int], list[Json]] = OrderedDict()

    def get(self, run: ClaimedRun, node_id: str) -> list[Json]:
        key = (step_id(run.id, node_id), run.attempt)
        with self._lock:
            found = self._lists.get(key)
            if found is not None:
                self._lists.move_to_end(key)
                return found
        return self.put(run, node_id, store.load_list(key[0]))

    def put(self, run: ClaimedRun, node_id: str, items: list[Json]) -> list[Json]:
        """Remember one that may not be in the database yet."""
        with self._lock:
            self._lists[step_id(run.id, node_id), run.attempt] = items
            while len(self._lists) > _KEPT:
                self._lists.popitem(last=False)
        return items


lists = _Lists()


def map_state(run: ClaimedRun, state: RunState, node: Node) -> MapState:
    """A map that goes over its items, as it was recorded; its live items are in `state`."""
    opened = MapState.of(
        state.definition,
        node.id,
        count=len(lists.get(run, node.id)),
        begun=store.begun_count(run.id, node.id),
        live=[step.index for step in state.live.values() if step.node.id == node.id and step.index is not None],
    )
    if not opened.tolerates:
        opened.failure = store.first_failure(run.id, node.id)
    return opened


def frees_item(run: ClaimedRun, node_id: str) -> bool:
    """Whether a map moves on because items of it have ended: one may begin, or that was the last."""
    if store.begun_count(run.id, node_id) < len(lists.get(run, node_id)):
        return True
    return not store.any_live(run.id, node_id)


def gather(run: ClaimedRun, each: MapState) -> Completed | Failed:
    """What comes of a map whose items have all ended and are stored."""
    if each.failure is not None:
        error = error_of(each.failure)
        return Failed(code=error["code"], message=error["message"], retryable=False, details=error["details"])
    length = store.results_length(run.id, each.node.id)
    if length > MAX_OUTPUT_BYTES:  # not even read: they may be as many times larger as there are items
        message = f"The results have {length} characters; at most {MAX_OUTPUT_BYTES} bytes can be kept together."
        return Failed(code="invalid_output", message=message, retryable=False)
    rows = store.load_results(run.id, each.node.id)
    results = [output if status == "completed" else None for _, status, output, _ in rows]
    errors = [{"index": index, "error": error} for index, status, _, error in rows if status == "failed"]
    return Completed(output={"results": results, "errors": errors})
