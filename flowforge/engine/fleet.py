"""What a worker wants to know of the others: which queues have nobody, and how many slots a queue has."""

import logging
from datetime import datetime, timedelta
from typing import Final

from flowforge.engine import pools
from flowforge.workers import selectors as workers
from runs.readiness import ready_queues

WATCH_SECONDS: Final = 30.0
UNSERVED_AFTER: Final = timedelta(seconds=10)  # a worker that starts is not expected to be faster

log = logging.getLogger("flowforge.worker")


class Watch:
    """Looks round once in a while, and warns once of each queue whose steps nobody takes."""

    def __init__(self) -> None:
        self._warned: frozenset[str] = frozenset()

    def run_once(self, now: datetime) -> frozenset[str]:
        """The queues that have long had steps ready and no live worker."""
        slots = workers.slots_by_queue(workers.live_workers(now))
        pools.learn(slots)
        ready = ready_queues(now)
        unserved = frozenset(
            queue for queue, found in ready.items() if queue not in slots and found.since <= now - UNSERVED_AFTER
        )
        for queue in sorted(unserved - self._warned):
            log.warning("queue %s: steps wait, and no worker serves it: manage.py work --queues %s", queue, queue)
        for queue in sorted(self._warned - unserved):
            log.info("queue %s: no step waits for a worker any more", queue)
        self._warned = unserved
        return unserved
