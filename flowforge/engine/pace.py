"""How long the steps of a node take in this process: what proves short may be done between others, or many at once."""

from flowforge.kernel.definition import Node

SHORT_SECONDS = 0.002  # about what it costs to hand a step to another thread and have it back
_PROVEN_AFTER = 3  # executions
BATCH_SECONDS = 0.1  # a thread claims as many steps at once as take it about so long
THREAD_SECONDS = 0.05  # steps that take less than this together are not worth another thread
MAX_BATCH = 128
_WEIGHT = 0.2  # of the newest: one that was held up by a busy machine is forgiven, one that hung is not


class Pace:
    """A moving average for each node of a version, and for each queue how many of its steps to claim at once."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, bool], tuple[int, float]] = {}
        self._batches: dict[str, int] = {}
        self._seconds: dict[str, float] = {}  # a step's, in the newest batch

    def took(self, node: Node, seconds: float) -> None:
        count, average = self._known.get((node.id, node.is_item), (0, seconds))
        self._known[node.id, node.is_item] = count + 1, average + _WEIGHT * (seconds - average)

    def is_short(self, node: Node) -> bool:
        """False of a node of which too little is known."""
        count, average = self._known.get((node.id, node.is_item), (0, 0.0))
        return count >= _PROVEN_AFTER and average < SHORT_SECONDS

    def batch(self, queue: str) -> int:
        """How many steps to claim: one at first."""
        return self._batches.get(queue, 1)

    def worth_a_thread(self, queue: str) -> int:
        """How many steps at least are worth a thread, where there are more than one of each."""
        return max(1, int(THREAD_SECONDS / self._seconds.get(queue, THREAD_SECONDS)))

    def batch_took(self, queue: str, count: int, seconds: float) -> None:
        """So many steps, claimed at once, took so long: the next who claims may take twice as many, if they fit. All
        threads learn of it: each that begins with one step would ask the database as often as all others together."""
        self._seconds[queue] = each = max(seconds / count, 1e-6)
        fitting = min(int(BATCH_SECONDS / each), MAX_BATCH)
        self._batches[queue] = max(1, min(max(self.batch(queue), 2 * count), fitting))
