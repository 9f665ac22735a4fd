"""How long the steps of a node take in this process: what proves short may be done between others."""

from flowforge.kernel.definition import Node

SHORT_SECONDS = 0.002  # about what it costs to hand a step to another thread and have it back
_PROVEN_AFTER = 3  # executions
_WEIGHT = 0.2  # of the newest: one that was held up by a busy machine is forgiven, one that hung is not


class Pace:
    """A moving average for each node of a version."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, bool], tuple[int, float]] = {}

    def took(self, node: Node, seconds: float) -> None:
        count, average = self._known.get((node.id, node.is_item), (0, seconds))
        self._known[node.id, node.is_item] = count + 1, average + _WEIGHT * (seconds - average)

    def is_short(self, node: Node) -> bool:
        """False of a node of which too little is known."""
        count, average = self._known.get((node.id, node.is_item), (0, 0.0))
        return count >= _PROVEN_AFTER and average < SHORT_SECONDS
