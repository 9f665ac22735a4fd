"""The threads of this process that drive runs, and the hints that wait for one of them."""

import threading
import time
import uuid
from collections import deque
from collections.abc import Callable, Iterable
from itertools import chain, islice

from flowforge.core import bell
from flowforge.engine import pools
from flowforge.engine.convoy import Convoy, Rider
from flowforge.engine.presence import presence

Offer = Callable[[Callable[[], None]], bool]
"""Runs a call in an idle thread at once; False if there is none."""


class Drivers:
    """At most so many threads drive at a time; those that sit in a long step don't count."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._taken = threading.Condition(self._lock)
        self._hints: dict[uuid.UUID, None] = {}  # each once, the oldest first
        self._urgent: dict[uuid.UUID, None] = {}  # before those; only the sweep's, so that there are never many
        self._riders: deque[Rider] = deque()  # of threads that have stepped aside, or could not come back
        self._offer: Offer | None = None
        self._most = self._room = self._driving = 0

    def start(self, offer: Offer, *, most: int, room: int) -> None:
        """Drive in threads of `offer`, `most` at a time; no more than `room` hints wait."""
        self._offer, self._most, self._room = offer, most, room

    def hint(self, run_id: uuid.UUID, wait_seconds: float = 0.0) -> bool:
        """Have someone look at this run; False if there is still no room once the time is up."""
        deadline = time.monotonic() + wait_seconds
        with self._lock:
            while len(self._hints) >= self._room:
                remaining = deadline - time.monotonic()
                if remaining <= 0:
                    return False
                self._taken.wait(remaining)
            if run_id not in self._urgent:
                self._hints[run_id] = None
        self._wake()
        return True

    def hint_first(self, run_id: uuid.UUID) -> bool:
        """Have someone look at this run before all that merely wait: somebody may have died over it. False if nobody
        drives here."""
        if self._offer is None:
            return False
        with self._lock:
            self._hints.pop(run_id, None)
            self._urgent[run_id] = None
        self._wake()
        return True

    # --- for convoys ----------------------------------------------------------------------------------------------

    def take(self, most: int) -> tuple[list[Rider], list[uuid.UUID]]:
        """Runs to go on with, then hints, each once, no more than `most` together."""
        with self._lock:
            riders = [self._riders.popleft() for _ in range(min(most, len(self._riders)))]
            hints = list(islice(chain(self._urgent, self._hints), most - len(riders)))
            for run_id in hints:
                self._urgent.pop(run_id, None)
                self._hints.pop(run_id, None)
            if hints:
                self._taken.notify_all()
        if hints:
            presence.took(bell.CONTROL_QUEUE, len(hints))
        return riders, hints

    def step_aside(self, riders: Iterable[Rider]) -> None:
        """This thread drives no more for now; others are to go on with these."""
        with self._lock:
            self._riders.extend(riders)
            self._driving -= 1
        self._wake()

    def come_back(self, rider: Rider) -> bool:
        """Whether this thread may drive again; if not, others go on with the run."""
        with self._lock:
            if self._driving < self._most:
                self._driving += 1
                return True
            self._riders.append(rider)
        return False

    def leave(self) -> bool:
        """Whether this thread may stop driving: nothing waits."""
        with self._lock:
            if self._riders or ((self._hints or self._urgent) and not pools.draining.is_set()):
                return False
            self._driving -= 1
        return True

    def _wake(self) -> None:
        """Have one more thread drive, if something waits and not enough do. Without an idle thread it waits on: for
        one that comes back from its step."""
        with self._lock:
            if self._offer is None or self._driving >= self._most or not (self._hints or self._urgent or self._riders):
                return
            self._driving += 1
        if not self._offer(self._drive):
            with self._lock:
                self._driving -= 1

    def _drive(self) -> None:
        with presence.answering(bell.CONTROL_QUEUE):
            Convoy(self).go()


drivers = Drivers()
