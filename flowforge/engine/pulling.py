"""What the threads of this process ask for one run: ready steps of a queue, and that results be recorded.

Both lock the run's row. The threads of a process share their questions (`engine.sharing`), or with many short steps
they would mostly wait for each other.
"""

import threading
import time
import uuid
from collections.abc import Sequence
from functools import partial
from weakref import WeakValueDictionary

from django.conf import settings
from django.db import Error

from flowforge.api.problems import is_outage
from flowforge.core import clock
from flowforge.core.failpoints import failpoint
from flowforge.engine.outages import patiently
from flowforge.engine.pace import MAX_BATCH
from flowforge.engine.plan import Plan, plan_of
from flowforge.engine.presence import PROCESS_NAME
from flowforge.engine.sharing import Shared
from flowforge.engine.store import steps as step_store
from flowforge.engine.store.rows import ClaimedRun, StepRow
from flowforge.engine.store.steps import Settlement
from flowforge.engine.telling import tell


class Pulling:
    """A run's steps of one queue, as the threads of this process pull them."""

    def __init__(self, run: ClaimedRun, queue: str) -> None:
        self.run = run
        self.plan: Plan = plan_of(run.version_id)
        self.queue = queue
        self._threads: set[int] = set()
        self._claim_shared = Shared(self._claim_for)
        self._settle_shared = Shared(self._settle_for)

    def at_it(self, thread: int) -> None:
        """This thread (its ident) asks for steps, now and again once it has done those."""
        with _lock:
            self._threads.add(thread)

    def away(self, thread: int) -> None:
        """It has found none, or sits in a long one."""
        with _lock:
            self._threads.discard(thread)

    @property
    def threads(self) -> int:
        """How many are at it."""
        return len(self._threads)

    def claim(self) -> list[StepRow]:
        """As many ready steps as are worth claiming at once; none if there are none."""
        return self._claim_shared(self.plan.pace.batch(self.queue))

    def claim_last_chance(self) -> list[StepRow]:
        """One step of those that may be lost no more."""
        return self._claim(1, last_chance=True)

    def settle(self, settlements: Sequence[Settlement]) -> list[Settlement]:
        """Record results; gives those that took effect, and others' that nobody else is given. An outage is outlasted
        as long as a lease is: then these would count as lost, and be done again."""
        try:
            return self._settle_shared(settlements)
        except Error as error:
            if is_outage(error):
                raise
            return self.settle_now(settlements)  # others' may have been the fault

    def settle_now(self, settlements: Sequence[Settlement]) -> list[Settlement]:
        """The same for these alone; raises at once if the database is away."""
        return step_store.settle_steps(self.run.id, settlements, clock.now(), tell=partial(tell, self.run))

    def _claim_for(self, wanted: Sequence[int]) -> list[list[StepRow]]:
        """Deal out what is ready, as with cards: few steps go to many threads, unless they are too short for that."""
        steps = self._claim(max(len(wanted), min(sum(wanted), MAX_BATCH)))
        least = self.plan.pace.worth_a_thread(self.queue)
        dealt: list[list[StepRow]] = [[] for _ in wanted]
        while steps:
            for count, hand in zip(wanted, dealt, strict=True):
                taken = min(least, count - len(hand))
                hand.extend(steps[:taken])
                del steps[:taken]
        return dealt

    def _claim(self, limit: int, *, last_chance: bool = False) -> list[StepRow]:
        steps = step_store.claim_steps(
            self.run.id,
            queue=self.queue,
            limit=limit,
            worker=PROCESS_NAME,
            max_concurrency=self.plan.definition.config.max_concurrency,
            now=clock.now(),
            lease_seconds=settings.LEASE_SECONDS,
            tell=partial(tell, self.run),
            last_chance=last_chance,
        )
        failpoint("claim.after")
        return steps

    def _settle_for(self, asked: Sequence[Sequence[Settlement]]) -> list[list[Settlement]]:
        settlements = [each for group in asked for each in group]
        until = time.monotonic() + settings.LEASE_SECONDS
        taken = patiently(lambda: self.settle_now(settlements), until=until)
        return [taken, *([] for _ in asked[1:])]


_lock = threading.Lock()
_here: "WeakValueDictionary[tuple[uuid.UUID, int, str], Pulling]" = WeakValueDictionary()


def threads_on(run: ClaimedRun, queue: str) -> int:
    """How many threads of this process are at a run's steps: each asks for more once it has done what it has."""
    with _lock:
        found = _here.get((run.id, run.attempt, queue))
    return 0 if found is None else found.threads


def pulling(run: ClaimedRun, queue: str) -> Pulling:
    """The one of this process for a run, at its attempt."""
    key = (run.id, run.attempt, queue)
    with _lock:
        found = _here.get(key)
        if found is None:
            found = _here[key] = Pulling(run, queue)
        return found
