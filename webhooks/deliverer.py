"""What sends deliveries in a process: one thread that claims and records, and a bounded number that post.

The database is the queue, a bell a hint. Nothing is held in memory but what is being sent at this moment.
"""

import logging
import threading
import time
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from django.conf import settings
from django.db import DatabaseError, InterfaceError, OperationalError, connections

from flowforge.core import clock
from flowforge.core.egress import egress
from flowforge.steps.base import CancelToken
from webhooks.attempts import Claimed, Outcome, perform
from webhooks.lanes import Lanes
from webhooks.services.delivering import claim_deliveries, due_subscriptions, record_outcomes

POLL_SECONDS: Final = 1.0  # between two looks when no bell was heard
TIDY_LANES: Final = 1_000
_TROUBLE_SECONDS: Final = 1.0

log = logging.getLogger("flowforge.webhooks")


class Deliverer:
    """`start` and `stop` once. `run_once` is a round of it, for whoever has a thread of its own."""

    def __init__(self, threads: int) -> None:
        self._threads = threads
        self._lanes = Lanes(threads)
        self._changed = threading.Condition()  # over the two below
        self._finished: deque[Outcome] = deque()
        self._rung = False
        self._stopping = threading.Event()
        self._cancel = CancelToken()
        self._pool: ThreadPoolExecutor | None = None
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        self._pool = ThreadPoolExecutor(self._threads, thread_name_prefix="deliver")
        self._thread = threading.Thread(target=self._loop, name="deliverer", daemon=True)
        self._thread.start()

    def stop(self, grace_seconds: float) -> None:
        """Claim nothing more; what is being sent has `grace_seconds`, then it is handed back."""
        if self._thread is None or self._pool is None:
            return
        self._stopping.set()
        self.ring()
        self._thread.join(timeout=grace_seconds)
        self._cancel.cancel("drain")
        self._thread.join(timeout=5.0)
        self._pool.shutdown(wait=False, cancel_futures=True)

    def ring(self) -> None:
        """There may be something due."""
        with self._changed:
            self._rung = True
            self._changed.notify()

    def run_once(self) -> int:
        """Send what is due now and fits, in this thread; says how many attempts were made."""
        claimed = self._claim()
        for each in claimed:
            self._finished.append(self._attempt(each))
        self._record()
        return len(claimed)

    # --- the thread that claims and records -----------------------------------------------------------------------

    def _loop(self) -> None:
        try:
            while not (self._stopping.is_set() and not self._lanes.active and not self._finished):
                if not self._round():
                    if self._stopping.is_set():
                        return  # leases end by themselves
                    connections.close_all()
                    self._stopping.wait(_TROUBLE_SECONDS)
                if not self._stopping.is_set() or self._lanes.active:
                    self._wait()
        finally:
            connections.close_all()

    def _round(self) -> bool:
        """Record, claim, hand out; False if the database is not there. Nothing that goes wrong ends the thread."""
        try:
            self._record()
            for each in [] if self._stopping.is_set() else self._claim():
                self._hand_out(each)
        except DatabaseError as error:
            log.warning("deliveries: %s", error)
            return False
        except Exception:
            log.exception("deliveries: failed")
            return False
        return True

    def _wait(self) -> None:
        with self._changed:
            if not self._finished and not self._rung:
                self._changed.wait(POLL_SECONDS)
            self._rung = False

    def _claim(self) -> list[Claimed]:
        now = clock.now()
        found: list[Claimed] = []
        for subscription in due_subscriptions(now, busy=self._lanes.full()):
            room = self._lanes.room(subscription.pk, subscription.failure_count, time.monotonic())
            claimed = claim_deliveries(subscription, now, room) if room else []
            if claimed:
                self._lanes.begin(subscription.pk, len(claimed), time.monotonic())
            found += claimed
        return found

    def _record(self) -> None:
        with self._changed:
            done = list(self._finished)
        if not done:
            return
        try:
            record_outcomes(done)
        except (OperationalError, InterfaceError):
            raise  # the database will be back: they are kept
        except Exception:
            log.exception("deliveries: not recorded; they are made again when their leases end")
        for outcome in done:
            self._finished.popleft()
            self._lanes.end(
                outcome.claimed.subscription_id,
                delivered=outcome.delivered,
                seconds=outcome.duration_ms / 1000,
                now=time.monotonic(),
            )
        if len(self._lanes) > TIDY_LANES:
            self._lanes.tidy()

    # --- the threads that post ------------------------------------------------------------------------------------

    def _hand_out(self, claimed: Claimed) -> None:
        assert self._pool is not None  # noqa: S101  the loop runs between start and stop
        self._pool.submit(self._post, claimed)

    def _post(self, claimed: Claimed) -> None:
        outcome = self._attempt(claimed)
        with self._changed:
            self._finished.append(outcome)
            self._changed.notify()

    def _attempt(self, claimed: Claimed) -> Outcome:
        began = time.monotonic()
        try:
            return perform(claimed, egress(settings.ALLOW_PRIVATE_TARGETS), clock.now, self._cancel)
        except Exception:
            log.exception("delivery %s: failed", claimed.id)
            took = round((time.monotonic() - began) * 1000)
            return Outcome(claimed=claimed, at=clock.now(), duration_ms=took, error="internal_error")


deliverer = Deliverer(settings.DELIVERY_THREADS)
