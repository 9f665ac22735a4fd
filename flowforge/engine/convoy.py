"""Runs that one thread drives together.

Each goes its own way, turn by turn; in every round all their commits are one transaction. Threads that drive a run each
would spend most of their time on waiting for the interpreter and for the database's one writer: docs/decisions/0007.

A step that is not known to be short is never done between others: the thread that does it leaves them to another.
"""

import logging
import threading
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Protocol

from django.conf import settings
from django.db import Error, close_old_connections, connection

from flowforge.core import clock
from flowforge.engine import driver, pools
from flowforge.engine.presence import PROCESS_NAME
from flowforge.engine.store.rows import ClaimedRun, Commit
from flowforge.engine.store.together import claim_together, commit_together
from flowforge.engine.turns import Perform, Turns

MAX_RIDERS = 32  # a round of so many short turns takes some ten milliseconds: nobody waits longer to be taken on

log = logging.getLogger("flowforge.engine")


class Station(Protocol):
    """Where hints wait, and runs that are between two threads: `drivers.Drivers`."""

    def take(self, most: int) -> "tuple[list[Rider], list[Any]]":
        """Runs to go on with, and hints, no more than `most` together."""

    def step_aside(self, riders: "Iterable[Rider]") -> None:
        """This thread drives no more for now; others are to go on with these."""

    def come_back(self, rider: "Rider") -> bool:
        """Whether this thread may drive again; if not, others go on with the run."""

    def leave(self) -> bool:
        """Whether this thread may stop driving: nothing waits."""


@dataclass(slots=True, eq=False)
class Rider:
    """A run on its way: what it is to be told, or the commit that it waits for."""

    turns: Turns[None]
    answer: object = None
    asks: Commit | None = None

    @classmethod
    def of(cls, run: ClaimedRun) -> "Rider":
        return cls(turns=driver.whole_drive(run))

    def go_on(self) -> Commit | Perform | None:
        """Its next request; None once it has been let go."""
        answer, self.answer = self.answer, None
        try:
            return self.turns.throw(answer) if isinstance(answer, Exception) else self.turns.send(answer)
        except StopIteration:
            return None
        except Exception:  # not even its failure could be recorded: its lease will lapse
            log.exception("a run could not be let go")
            return None


class Convoy:
    """`go` drives until nothing is left; one thread."""

    def __init__(self, station: Station) -> None:
        self._station = station
        self._lock = threading.Lock()  # against the keeper, which may send the others ahead
        self._riders: deque[Rider] = deque()  # to go on
        self._asking: list[Rider] = []  # to be committed
        self._may_step_aside = False
        self._is_aside = False

    def go(self) -> None:
        while True:
            if connection.errors_occurred and not connection.in_atomic_block:
                close_old_connections()  # one that has failed is not used again
            self._take_on()
            if not self._riders and not self._asking:
                if self._station.leave():
                    return
                continue
            self._commit()  # what another thread has left here is done: it must not wait for what is not
            while self._riders:
                rider = self._riders.popleft()
                self._advance(rider)
                if self._is_aside:
                    if not self._station.come_back(rider):
                        return
                    self._is_aside = False
                    self._riders.append(rider)
            self._commit()

    def _take_on(self) -> None:
        riders, hints = self._station.take(MAX_RIDERS - len(self._riders) - len(self._asking))
        for rider in riders:
            (self._riders if rider.asks is None else self._asking).append(rider)
        if not hints or pools.draining.is_set():
            return
        try:
            claimed = claim_together(hints, PROCESS_NAME, clock.now(), settings.LEASE_SECONDS)
        except Error as error:  # the hints are lost: the sweep finds these runs
            log.warning("runs could not be claimed: %s", error)
            return
        self._riders.extend(map(Rider.of, claimed))

    def _advance(self, rider: Rider) -> None:
        """Let a run go on until it wants to commit, or is let go, or this thread has stepped aside for its step."""
        while True:
            request = rider.go_on()
            if isinstance(request, Commit):
                rider.asks = request
                self._asking.append(rider)
            if not isinstance(request, Perform):
                return
            self._do(rider, request)
            if self._is_aside:
                return

    def _do(self, rider: Rider, request: Perform) -> None:
        self._may_step_aside = True
        if not request.is_short:
            self._step_aside()
        try:
            rider.answer = request.answer(self._step_aside)
        except Exception as error:  # noqa: BLE001  thrown where the step was asked for
            rider.answer = error
        with self._lock:
            self._may_step_aside = False

    def _step_aside(self) -> None:
        """Leave all others to another thread; called by the keeper, too, when a step turns out long."""
        with self._lock:
            if not self._may_step_aside or self._is_aside:
                return
            self._is_aside = True
            others = [*self._asking, *self._riders]
            self._asking.clear()
            self._riders.clear()
        self._station.step_aside(others)

    def _commit(self) -> None:
        if not self._asking:
            return
        asked, self._asking = self._asking, []
        outcomes = commit_together([rider.asks for rider in asked if rider.asks is not None])
        for rider, outcome in zip(asked, outcomes, strict=True):
            rider.asks, rider.answer = None, outcome
            self._riders.append(rider)
