"""The driver: owns one run at a time, lets the machine decide, and commits what it decided.

drive(run_id)          a hint: look at this run
  claim                one UPDATE; if someone has it, they are poked instead
  loop
    decide             in memory
    pure steps         evaluated here; a whole stretch of them shares one commit
    commit             one transaction, fenced by the lease token
    sole effect step?  run in place: a chain costs one commit a step and no broker
    several ready?     hint the workers of their queues, who pull
    nothing to do?     set wake_at, release the lease, end
"""

import logging
import random
import threading
import time
import uuid
from collections import Counter
from dataclasses import replace
from datetime import datetime, timedelta

from django.conf import settings

from flowforge.core import bell, clock
from flowforge.core.failpoints import failpoint
from flowforge.engine import pools
from flowforge.engine.admission import NoPlace, PlaceFound
from flowforge.engine.ending import Ending
from flowforge.engine.event_waits import listening, look_back
from flowforge.engine.execution import Execution, attempt
from flowforge.engine.held import HeldRun
from flowforge.engine.items import gather
from flowforge.engine.journal import attempt_of
from flowforge.engine.keeper import keeper
from flowforge.engine.outcomes import Result, conclude
from flowforge.engine.presence import PROCESS_NAME
from flowforge.engine.pulling import threads_on
from flowforge.engine.store import runs as run_store
from flowforge.engine.store.admission import cancel_reason
from flowforge.engine.store.rows import ClaimedRun, Commit, Committed, LeaseLost, Poked, StaleState, StepRow
from flowforge.engine.telling import telling
from flowforge.engine.timers import AGAIN_AFTER, alarm
from flowforge.engine.turns import Perform, Turns, carry
from flowforge.kernel.dispatch import dispatchable, held_back, is_sole, next_wake
from flowforge.kernel.expressions import ExpressionError
from flowforge.kernel.machine import decide
from flowforge.kernel.runstate import RunChange, StepChange, StepState
from flowforge.kernel.states import ENDED_STEP_STATUSES
from flowforge.operating.selectors import engine_paused
from runs import waiting

COMMIT_AFTER_SECONDS = 0.05  # a stretch of pure steps is committed at least so often
COMMIT_AFTER_STEPS = 500
TROUBLE_SECONDS = 5.0  # a run whose driving failed is looked at again after so long

log = logging.getLogger("flowforge.engine")
_in_place = threading.BoundedSemaphore(settings.CONTROL_THREADS * (pools.PARKED_FOR_EACH - 1))


def drive(run_id: uuid.UUID) -> None:
    """Take a run as far as it goes. A doubled or late hint does nothing."""
    if pools.draining.is_set() or engine_paused():
        return
    run = run_store.claim_run(run_id, PROCESS_NAME, clock.now(), settings.LEASE_SECONDS)
    if run is not None:
        carry(whole_drive(run))


def whole_drive(run: ClaimedRun) -> Turns[None]:
    """A claimed run, taken as far as it goes and let go whatever happens."""
    try:
        failpoint("drive.after_claim")
        yield from Drive(run).turns()
    except LeaseLost:
        log.warning("run %s: the lease was lost, another process goes on", run.id)
    except Exception:
        log.exception("run %s: driving failed", run.id)
        run_store.give_back(run, clock.now() + timedelta(seconds=TROUBLE_SECONDS))


class Drive(HeldRun):
    """One drive of one run: from its claim to its release."""

    def __init__(self, run: ClaimedRun) -> None:
        super().__init__(run, PROCESS_NAME)
        self.listening = listening(self.journal.rows.values())  # waits for events that nobody has looked back for

    def restore(self) -> None:
        super().restore()
        self.ending = Ending(self.run, self.plan)

    def go(self) -> None:
        """All of it, in this thread."""
        carry(self.turns())

    def turns(self) -> Turns[None]:
        while True:
            try:
                released = yield from self._round()
            except Poked:
                self.read_wishes()
                self.restore()
                continue
            except (StaleState, NoPlace, PlaceFound) as refusal:  # nothing of the round was written
                self.places.heed(refusal)
                if isinstance(refusal, StaleState):
                    self.read_progress()
                self.restore()
                continue
            if released:
                return

    # --- one round ------------------------------------------------------------------------------------------------

    def _round(self) -> Turns[bool]:
        """Decide, commit, act; True when the run is released."""
        if self.plan.starts_runs:
            self.hear_children()
        self.state.held = self.run.frozen or engine_paused()
        yield from self._decide_stretch()
        now = clock.now()
        due = [] if pools.draining.is_set() else dispatchable(self.state, now)
        if is_sole(self.state, due) and self.plan.queue(due[0].node) == pools.IN_PLACE:
            if self.plan.pace.is_short(due[0].node):  # nobody will have to wait for it
                yield from self._run_in_place(due[0])
                return False
            if _in_place.acquire(blocking=False):  # never so many that no thread is left to drive
                try:
                    yield from self._run_in_place(due[0])
                finally:
                    _in_place.release()
                return False
        if not self.state.ended and (self.listening or listening(self.journal.changed.values())):
            yield from self._commit(release=False)
            look_back(self.run, self.listening)
            self.listening = []
            return False
        released = yield from self._commit(release=True)
        if self.state.ended:
            failpoint("run.after_terminal")
            self.ending.let_go()  # again: a step may have started one meanwhile
            waiting.notify_ended(self.run.id)
            return True
        if released:
            self._hint(due)
        return released

    def _decide_stretch(self) -> Turns[None]:
        """Decide and evaluate pure steps until nothing moves without an effect; commit on the way if it takes long."""
        began, steps = time.monotonic(), 0
        while True:
            now = clock.now()
            decisions = decide(self.state, now, self.evaluate)
            for change in decisions.changes:
                if isinstance(change, RunChange):
                    self._run_changed(change, now)
                else:
                    self._step_changed(change, now)
            pure = [change.key for change in decisions.begun if self.plan.is_pure(change.node)]
            for key in pure:
                self._evaluate_pure(self.state.live[key])
            for step in decisions.gathered:
                yield from self._gather(step)
            if not pure and not decisions.gathered:
                return
            steps += len(pure)
            if steps >= COMMIT_AFTER_STEPS or time.monotonic() - began > COMMIT_AFTER_SECONDS:
                yield from self._commit(release=False)
                began, steps = time.monotonic(), 0

    def _evaluate_pure(self, step: StepState) -> None:
        row = self.journal.rows[step.key]
        self.journal.start(row, clock.now(), None)
        execution = Execution(self.run, self.plan, step.node, row)
        self._conclude(step, row, attempt(execution, self.scope_of_step(step, row)))

    def _gather(self, step: StepState) -> Turns[None]:
        """The items of a map have ended: their results are its output. They are read once they are stored."""
        each = self.state.maps[step.key]
        yield from self._commit(release=False)
        failpoint("map.before_gather")
        self._conclude(step, self.journal.rows[step.key], Result(outcome=gather(self.run, each)))

    def _run_in_place(self, step: StepState) -> Turns[None]:
        """The only thing that this run can do now is this step: do it here."""
        row = self.journal.rows[step.key]
        before = attempt_of(row)
        self.journal.start(row, clock.now(), self._lease_until())
        execution = Execution(self.run, self.plan, step.node, row)
        refused = execution.prepare(self.scope_of_step(step, row))
        row.inputs, execution.inputs_stored = execution.inputs, True
        with keeper.keeping(execution, held_run=self.run.lease_token):  # it may have to wait for its turn
            try:
                yield from self._commit(release=False, unless_poked=True)
            except Poked:
                self.journal.unstart(row, before)
                self.look_again()
                return
            self.adopt(step, row)
            if refused:
                result = Result(outcome=refused, inputs=execution.inputs)
            else:
                result = yield Perform(execution=execution)
        failpoint("result.before_commit")
        if result.dropped:  # cancelled or out of time: the commit reads why, the machine decides
            yield from self._commit(release=False)
        else:
            self._conclude(step, row, result)

    def _conclude(self, step: StepState, row: StepRow, result: Result) -> None:
        """Record the end of an attempt that ran here, and tell the machine."""
        now = clock.now()
        events, cost = conclude(row, step.node, result, now, random.random)
        self.journal.settled(row, events, cost)
        if row.status in ("completed", "failed") and row.item is None:
            self.results.put(row.node_id, row.status, row.output, row.error)
        self.adopt(step, row)

    # --- between the machine and the rows -------------------------------------------------------------------------

    def _step_changed(self, change: StepChange, now: datetime) -> None:
        self.journal.step_changed(change, self.plan.queue(change.node), now)
        row = self.journal.rows[change.key]
        self.ending.step_changed(change, row)
        if change.status in ENDED_STEP_STATUSES:
            self.journal.forget(row)
            if change.index is None:
                self.results.put(change.node.id, change.status, row.output, change.error)

    def _run_changed(self, change: RunChange, now: datetime) -> None:
        if change.event == "run.started":
            self.run.deadline_at = self.state.deadline_at
        if change.event == "run.completed":
            try:
                self.journal.outputs(self.outputs())
            except ExpressionError as error:
                self.state.status = "failed"
                problem = {"code": "invalid_output", "message": error.message, "details": {"code": error.code}}
                change = RunChange(status="failed", event="run.failed", error=problem)
        if change.event == "run.cancelled" and (reason := cancel_reason(self.run.id)):
            change = replace(change, reason=reason)
        if change.event == "run.failed":
            self.ending.failed(change.error or {}, self.scope)
        self.journal.run_changed(change, now, self.state.deadline_at)

    # --- the database and the workers -----------------------------------------------------------------------------

    def _lease_until(self) -> datetime:
        return clock.now() + timedelta(seconds=settings.LEASE_SECONDS)

    def _commit(self, *, release: bool, unless_poked: bool = False) -> Turns[bool]:
        """Write the round; True if the lease was given back with it."""
        wake_at = self._wake_at() if release else None
        if release and self.run.frozen and self.run.held_at is None and held_back(self.state, clock.now()):
            self.journal.update.columns["held_at"] = self.run.held_at = clock.now()
        failpoint("commit.before")
        if self.state.ended:
            failpoint("run.before_terminal")
        self.ending.let_go()
        done: Committed = yield Commit(
            run=self.run,
            update=self.journal.update,
            steps=list(self.journal.changed.values()),
            events=self.journal.events,
            lease_until=self._lease_until(),
            release=release,
            wake_at=wake_at,
            unless_poked=unless_poked,
            unless_frozen=self.journal.begins,
            along=telling(
                self.run,
                self.journal.events,
                self.places.along(self.state, self.journal.update, self.ending.along),
            ),
        )
        failpoint("commit.after")
        self.listening += listening(self.journal.changed.values())
        self.journal.clear()
        self.run.status = self.state.status  # what `_restore` begins with
        if self.state.started and self.run.started_at is None:
            self.run.started_at = clock.now()
        poked, self.run.pokes = done.pokes != self.run.pokes, done.pokes
        self.state.cancel_requested, self.state.pause_requested = done.cancel_requested, done.pause_requested
        self.places.committed(done.released, alarm.at)
        if done.released:
            alarm.at(wake_at, self.run.id)
        if poked and not done.released:
            self.look_again()
        return done.released

    def _wake_at(self) -> datetime | None:
        """What is ready is left to workers that are hinted; by a process that ends, to the next at once."""
        if engine_paused() and not self.state.ended:
            return clock.now()  # what has come to its moment is found when the engine goes on
        again_after = timedelta(0) if pools.draining.is_set() else AGAIN_AFTER
        return next_wake(self.state, clock.now(), again_after)

    def _hint(self, due: list[StepState]) -> None:
        """Wake as many workers of each queue as there are steps for them, beside those who are at it and will ask for
        more, but one at least: other processes may have nothing to do. Where steps have been hinted before and nobody
        came, it may be the queue: runs whose alarms ring in time are never found by the sweep."""
        late = clock.now() - AGAIN_AFTER
        if any(step.available_at is not None and step.available_at <= late for step in due):
            bell.note_overdue(self.run.id)
        wanted = Counter((self.plan.queue(step.node), step.is_last_chance) for step in due)
        for (queue, last_chance), count in wanted.items():
            idle = max(1, pools.width(queue) - threads_on(self.run, queue))
            bell.work_now(self.run.id, queue, min(count, idle), last_chance=last_chance)
