"""What this process tells of itself: a row that says which queues it serves and how far its work has come.

The keeper's thread writes it every few seconds, so that a process whose leases lapse falls silent as well. What the
row says is counted where the work is done: a pool that hears nothing cannot look alive because a thread beside it is.
"""

import logging
import os
import socket
import threading
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from django.db import DatabaseError

from flowforge import __version__
from flowforge.core import clock
from flowforge.workers import services
from flowforge.workers.constants import BEAT_SECONDS
from flowforge.workers.services import Identity, PoolProgress, Progress

PROCESS_NAME: Final = f"{socket.gethostname()[:60]}:{os.getpid()}:{uuid.uuid4().hex[:6]}"

log = logging.getLogger("flowforge.worker")


@dataclass(slots=True)
class _Pool:
    slots: int
    busy: int = 0
    heard_at: float | None = None  # monotonic, as is the next
    hint_at: float | None = None


class Presence:
    """This process among the workers, from `open` to `close`; without `open` nothing is written."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._identity: Identity | None = None
        self._pools: dict[str, _Pool] = {}
        self._hints = self._steps = self._abandoned = 0
        self._swept_at: float | None = None
        self._next_beat = 0.0
        self._is_draining = False

    # --- its life -------------------------------------------------------------------------------------------------

    def open(self, slots: Mapping[str, int], isolation: str) -> None:
        """Register as a worker of these queues."""
        host = socket.gethostname()
        self._pools = {queue: _Pool(slots=count) for queue, count in slots.items()}
        self._identity = Identity(
            name=PROCESS_NAME,
            host=host,
            pid=os.getpid(),
            version=__version__,
            isolation=isolation,
            started_at=clock.now(),
        )
        self.beat(time.monotonic(), ())

    def beat_if_due(self, now: float, began: Sequence[float]) -> None:
        """Called by the keeper. `began`: when the steps that run here began, by the monotonic clock."""
        if now >= self._next_beat:
            self.beat(now, began)

    def beat(self, now: float, began: Sequence[float]) -> None:
        if self._identity is None:
            return
        self._next_beat = now + BEAT_SECONDS
        progress = self._progress(now, began)
        services.record_heartbeat(self._identity, progress, now=clock.now(), draining=self._is_draining)

    def drain(self, began: Sequence[float]) -> None:
        """From now on it claims nothing. That the database is away keeps no process from ending."""
        self._is_draining = True
        try:
            self.beat(time.monotonic(), began)
        except DatabaseError as error:
            log.warning("it could not be said that this worker drains: %s", error)

    def close(self) -> None:
        """The process ends."""
        identity, self._identity = self._identity, None
        if identity is None:
            return
        try:
            services.record_stop(identity.name, now=clock.now())
        except DatabaseError as error:
            log.warning("it could not be said that this worker ends: %s", error)

    # --- its progress ---------------------------------------------------------------------------------------------

    def heard(self, queue: str) -> None:
        """A pool's loop has come round: it listens to the broker. Called often: it only takes down the moment."""
        pool = self._pools.get(queue)
        if pool is not None:
            pool.heard_at = time.monotonic()

    def took(self, queue: str, hints: int) -> None:
        """So many hints were taken, to be answered."""
        pool = self._pools.get(queue)
        with self._lock:
            self._hints += hints
            if pool is not None:
                pool.hint_at = time.monotonic()

    @contextmanager
    def answering(self, queue: str) -> Iterator[None]:
        """A thread of this pool is at work."""
        pool = self._pools.get(queue)
        if pool is not None:
            with self._lock:
                pool.busy += 1
        try:
            yield
        finally:
            if pool is not None:
                with self._lock:
                    pool.busy -= 1

    def step_ended(self) -> None:
        """An attempt has ended here, whatever came of it."""
        with self._lock:
            self._steps += 1

    def abandoned(self, threads: int) -> None:
        """So many more threads, or fewer, sit in steps that were ended without them."""
        with self._lock:
            self._abandoned += threads

    def swept(self) -> None:
        """The timers have looked for runs whose moment has come."""
        self._swept_at = time.monotonic()

    def _progress(self, now: float, began: Sequence[float]) -> Progress:
        at = clock.now()

        def moment(monotonic: float | None) -> datetime | None:
            return None if monotonic is None else at - timedelta(seconds=max(0.0, now - monotonic))

        with self._lock:
            pools = {
                queue: PoolProgress(
                    slots=pool.slots, busy=pool.busy, heard_at=moment(pool.heard_at), hint_at=moment(pool.hint_at)
                )
                for queue, pool in self._pools.items()
            }
            return Progress(
                pools=pools,
                hints_count=self._hints,
                steps_count=self._steps,
                running_count=len(began),
                abandoned_count=self._abandoned,
                oldest_step_at=moment(min(began, default=None)),
                swept_at=moment(self._swept_at),
            )


presence = Presence()
