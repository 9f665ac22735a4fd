"""The keeper: one thread a process that looks after what runs here.

It stores log lines as they come, ends what has run out of time or was cancelled, renews leases, relieves batches whose
first step turned out long, speaks for threads that don't hear, and tells that this process lives. Steps that take less
than a tick never meet it.
"""

import logging
import threading
import time
import uuid
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import timedelta

from django.conf import settings
from django.db import DatabaseError, connections

from flowforge.api.problems import is_outage
from flowforge.core import bell, clock
from flowforge.core.failpoints import failpoint
from flowforge.engine import pools
from flowforge.engine.abandoning import settle_abandoned
from flowforge.engine.execution import Execution
from flowforge.engine.outcomes import Result
from flowforge.engine.presence import presence
from flowforge.engine.store import keeping, maintenance
from flowforge.engine.store import steps as step_store
from flowforge.workers.constants import BEAT_SECONDS

TICK_SECONDS = 0.1
RESTS_AFTER_TICKS = 20
FLUSH_AFTER_SECONDS = 0.25
CANCEL_POLL_SECONDS = 0.5
CLOCK_SYNC_SECONDS = 30.0
DEAF_SECONDS = 2.0  # a step that was told to stop has so long to return; then it is abandoned
MAX_ABANDONED = 8  # threads that are replaced: a process with more of them gets smaller, and says so

log = logging.getLogger("flowforge.engine")


class Keeper:
    """Executions of this process and the thread that keeps them. `run_once` is what the thread repeats."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._wake = threading.Condition(self._lock)
        self._executions: set[Execution] = set()
        self._held_runs: dict[Execution, int] = {}  # in place: the run's lease token, renewed with the step's
        self._relievers: dict[Execution, Callable[[], None]] = {}
        self._spares: dict[Execution, Callable[[], None]] = {}  # put another thread in the place of its own
        self._leaving: dict[Execution, tuple[Result, bool]] = {}  # abandoned, not recorded yet; in place?
        self._abandoned: set[Execution] = set()  # whose threads have not come back
        self._thread: threading.Thread | None = None
        self._stopping = self._is_resting = False
        self._next_poll = self._next_renewal = self._next_sync = 0.0
        bell.listen(self._hinted)

    # --- what the driver and the workers say ----------------------------------------------------------------------

    def add(
        self, execution: Execution, *, held_run: int | None = None, reliever: Callable[[], None] | None = None
    ) -> None:
        """Look after an execution until `remove`; `reliever` is called once it has run for a tick or two."""
        spare = pools.spare_for_this_thread()
        with self._lock:
            self._executions.add(execution)
            if spare is not None:
                self._spares[execution] = spare
            if held_run is not None:
                self._held_runs[execution] = held_run
            if reliever is not None:
                self._relievers[execution] = reliever
            if self._is_resting:  # else it comes round by itself: waking it for each short step costs more than those
                self._wake.notify_all()

    @contextmanager
    def keeping(self, execution: Execution, *, held_run: int) -> Iterator[None]:
        """Keep its leases from before its start is written: it may have to wait for others of its convoy, and what
        waits must not be taken to be lost."""
        self.add(execution, held_run=held_run)
        try:
            yield
        finally:
            self.remove(execution)

    @contextmanager
    def performing(self, execution: Execution, reliever: Callable[[], None] | None) -> Iterator[None]:
        """This thread does it: `reliever` is called once it has run for a tick or two."""
        spare = pools.spare_for_this_thread()
        with self._lock:
            if spare is not None:
                self._spares[execution] = spare
            if reliever is not None:
                self._relievers[execution] = reliever
        try:
            yield
        finally:
            with self._lock:
                self._relievers.pop(execution, None)
                self._spares.pop(execution, None)

    def remove(self, execution: Execution) -> None:
        with self._lock:
            self._forget(execution)
            came_back = execution in self._abandoned
            self._abandoned.discard(execution)
        if came_back:
            presence.abandoned(-1)

    @property
    def executions(self) -> list[Execution]:
        with self._lock:
            return list(self._executions)

    @property
    def abandoned_count(self) -> int:
        """Threads of this process that sit in a step which has long ended."""
        return len(self._abandoned)

    @property
    def began(self) -> list[float]:
        """The monotonic moments at which the steps that run here began."""
        return [each.began for each in self.executions if each.began is not None]

    def cancel_all(self, reason: str) -> None:
        """End all that runs here: the process is about to."""
        for execution in self.executions:
            execution.cancel.cancel(reason)

    # --- the thread -----------------------------------------------------------------------------------------------

    def start(self) -> None:
        self._thread = threading.Thread(target=self._loop, name="keeper", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        with self._lock:
            self._stopping = True
            self._wake.notify_all()
        if self._thread is not None:
            self._thread.join(timeout=5)

    def run_once(self, now: float) -> None:
        """One tick at the monotonic moment `now`."""
        executions = [each for each in self.executions if each.began is not None]
        for execution in executions:
            ends_at = execution.ends_at
            if ends_at is not None and now >= ends_at:
                execution.cancel.cancel("timeout")
        old = [each for each in executions if now - (each.began or now) >= FLUSH_AFTER_SECONDS]
        for execution in old:
            self._relieve(execution)
            self._flush(execution)
        if old and now >= self._next_poll:
            self._next_poll = now + CANCEL_POLL_SECONDS
            self._cancel_what_was_stopped(old)
        if now >= self._next_renewal:
            self._next_renewal = now + settings.LEASE_SECONDS / 4
            self._renew(self.executions)
        presence.beat_if_due(now, self.began)
        if now >= self._next_sync:
            self._next_sync = now + CLOCK_SYNC_SECONDS
            clock.set_offset(maintenance.clock_offset())
        self._leave_the_deaf(executions, now)

    def _loop(self) -> None:
        idle = 0  # ticks without an execution
        try:
            while not self._stopping:
                try:
                    self.run_once(time.monotonic())
                except DatabaseError as error:
                    log.warning("keeper: %s", error)
                    connections.close_all()
                except Exception:  # without a keeper all that runs here would be taken to be lost
                    log.exception("keeper: a tick failed")
                with self._lock:
                    idle = 0 if self._executions else idle + 1
                    self._is_resting = idle > RESTS_AFTER_TICKS
                    if not self._stopping:
                        self._wake.wait(BEAT_SECONDS if self._is_resting else TICK_SECONDS)
        finally:
            connections.close_all()

    def _hinted(self, run_id: uuid.UUID) -> None:
        """A hint was rung in this process: if the run has a step running here, it may be a cancellation."""
        with self._lock:
            if any(each.run.id == run_id for each in self._executions):
                self._next_poll = 0.0
                self._wake.notify_all()

    def _forget(self, execution: Execution) -> None:
        self._executions.discard(execution)
        self._held_runs.pop(execution, None)
        self._relievers.pop(execution, None)
        self._spares.pop(execution, None)

    def _leave_the_deaf(self, executions: Iterable[Execution], now: float) -> None:
        """End attempts that were told to stop and did not; their leases are renewed until that is recorded."""
        for execution in executions:
            if not execution.cancel.is_set:
                continue
            if execution.stopped_at is None:
                execution.stopped_at = now
            elif now - execution.stopped_at >= DEAF_SECONDS:
                self._abandon(execution)
        for execution, (result, in_place) in list(self._leaving.items()):
            try:
                settle_abandoned(execution, result, in_place=in_place)
            except DatabaseError as error:
                if is_outage(error):
                    raise  # the next tick tries again
                log.exception("an abandoned step could not be recorded: its lease will lapse")
            del self._leaving[execution]
            with self._lock:
                self._forget(execution)

    def _abandon(self, execution: Execution) -> None:
        with self._lock:
            if execution not in self._executions:
                return  # it has just come back
            in_place, spare = execution in self._held_runs, self._spares.get(execution)
            result = execution.abandon()
            if result is None:
                return
            self._leaving[execution] = (result, in_place)
            self._abandoned.add(execution)
            count = len(self._abandoned)
        presence.abandoned(+1)
        told = (execution.node.id, execution.run.id, execution.cancel.reason, count)
        log.warning("step %s of run %s did not hear that it has to stop (%s): abandoned, with %d threads now", *told)
        if count > MAX_ABANDONED:
            log.error("%d threads sit in abandoned steps and are not replaced: restart this process", count)
        elif spare is not None:
            spare()

    def _relieve(self, execution: Execution) -> None:
        """Let go on without it who waits for it. Steps like it are not taken to be short any more: those that follow
        in its convoy must not each hold up the rest for so long."""
        with self._lock:
            reliever = self._relievers.pop(execution, None)
        if reliever is not None:
            execution.plan.pace.took(execution.node, FLUSH_AFTER_SECONDS)
            reliever()

    def _flush(self, execution: Execution) -> None:
        lines = execution.take_logs()
        if not lines and execution.inputs_stored:
            return
        if not step_store.flush_logs(execution.run.id, execution.row, execution.inputs, lines):
            execution.cancel.cancel("lost")
        execution.inputs_stored = True

    def _cancel_what_was_stopped(self, executions: Iterable[Execution]) -> None:
        by_step = {execution.row.id: execution for execution in executions}
        ours = keeping.still_wanted([(step_id, each.row.lease_token) for step_id, each in by_step.items()])
        for step_id, execution in by_step.items():
            verdict = ours.get(step_id, "lost")
            if verdict != "wanted":
                execution.cancel.cancel(verdict)

    def _renew(self, executions: Iterable[Execution]) -> None:
        failpoint("lease.before_renew")
        until = clock.now() + timedelta(seconds=settings.LEASE_SECONDS)
        steps = [(each.row.id, each.row.lease_token) for each in executions]
        with self._lock:
            runs = [(execution.run.id, token) for execution, token in self._held_runs.items()]
        if runs:
            keeping.renew_runs(runs, until)
        if steps:
            keeping.renew_steps(steps, until)


keeper = Keeper()
