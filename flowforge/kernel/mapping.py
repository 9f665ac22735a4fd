"""Going over a list: which items of a `map` may begin, when the map is over, and how. A function of values.

Items begin in their order, at most `limit` of them live (begun and not ended) at a time. What a map has to remember is
therefore how many have begun and which of these live: its cost does not grow with the list.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from flowforge.kernel.definition import Definition, Node

Error = Mapping[str, Any]  # {"code", "message", "details"?}


@dataclass(slots=True, kw_only=True)
class MapState:
    """A `map` between its first item and its last."""

    node: Node
    count: int  # items there are
    limit: int
    begun: int = 0  # items 0 … begun-1 have begun
    live: set[int] = field(default_factory=set)
    failure: tuple[int, Error] | None = None  # the item that ends the map, and its error

    @classmethod
    def of(
        cls,
        definition: Definition,
        node_id: str,
        *,
        count: int,
        begun: int = 0,
        live: Iterable[int] = (),
        failure: tuple[int, Error] | None = None,
    ) -> "MapState":
        """A map's own limit holds within the run's."""
        node = definition.by_id[node_id]
        assert node.each is not None  # noqa: S101  only a map goes over items
        most = definition.config.max_concurrency
        limit = min(node.each.max_concurrency or most, most)
        return cls(node=node, count=count, limit=limit, begun=begun, live=set(live), failure=failure)

    @property
    def step(self) -> Node:
        """What is done for each item."""
        assert self.node.each is not None  # noqa: S101  as above
        return self.node.each.step

    @property
    def tolerates(self) -> bool:
        """Whether it goes on after an item that failed."""
        return self.node.each is not None and (self.node.each.goes_on or self.step.on_error == "continue")

    @property
    def is_over(self) -> bool:
        """Nothing of it lives, and nothing more will begin."""
        return not self.live and (self.failure is not None or self.begun == self.count)

    @property
    def room(self) -> int:
        """How many items may begin now."""
        room = 0 if self.failure is not None else max(self.limit - len(self.live), 0)
        return min(room, self.count - self.begun)

    def take(self) -> range:
        """The items that begin now."""
        taken = range(self.begun, self.begun + self.room)
        self.begun = taken.stop
        self.live.update(taken)
        return taken

    def settle(self, index: int, error: Error | None) -> None:
        """An item has ended; with an error it has failed."""
        self.live.discard(index)
        if error is not None and self.failure is None and not self.tolerates:
            self.failure = (index, error)


def error_of(failure: tuple[int, Error]) -> Error:
    """A map's error: that of the item which ended it."""
    index, error = failure
    message = f"Item {index} failed: {error.get('message', '')}"
    return {"code": "item_failed", "message": message, "details": {"index": index, "error": dict(error)}}
