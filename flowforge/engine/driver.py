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
import os
import random
import socket
import threading
import time
import uuid
from collections import Counter
from dataclasses import replace
from datetime import datetime, timedelta

from django.conf import settings

from flowforge.core import bell, clock
from flowforge.core.failpoints import failpoint
from flowforge.engine import pools, relatives
from flowforge.engine.ending import Ending
from flowforge.engine.event_waits import listening, look_back
from flowforge.engine.execution import Execution, attempt
from flowforge.engine.items import gather, lists, map_state
from flowforge.engine.journal import Journal
from flowforge.engine.keeper import keeper
from flowforge.engine.outcomes import Result, conclude
from flowforge.engine.plan import Plan, plan_of, steps_named
from flowforge.engine.restoring import new_state, step_state
from flowforge.engine.scope import Results, item_of
from flowforge.engine.store import runs as run_store
from flowforge.engine.store import steps as step_store
from flowforge.engine.store.rows import ClaimedRun, LeaseLost, Poked, StaleState, StepRow
from flowforge.engine.timers import AGAIN_AFTER, alarm
from flowforge.kernel.dispatch import dispatchable, held_back, next_wake
from flowforge.kernel.expressions import ExpressionError, truthy
from flowforge.kernel.machine import EvaluationFailed, decide
from flowforge.kernel.mapping import MapState
from flowforge.kernel.runstate import RunChange, RunState, StepChange, StepState, Verdict
from flowforge.kernel.states import ENDED_STEP_STATUSES
from flowforge.operating.selectors import engine_paused
from runs import waiting
from runs.scope import scope_of

PROCESS_NAME = f"{socket.gethostname()}:{os.getpid()}:{uuid.uuid4().hex[:6]}"
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
    if run is None:
        return
    try:
        Drive(run).go()
    except LeaseLost:
        log.warning("run %s: the lease was lost, another process goes on", run_id)
    except Exception:
        log.exception("run %s: driving failed", run_id)
        run_store.give_back(run, clock.now() + timedelta(seconds=TROUBLE_SECONDS))


class Drive:
    """One drive of one run: from its claim to its release."""

    def __init__(self, run: ClaimedRun) -> None:
        self.run = run
        self.plan: Plan = plan_of(run.version_id)
        self.journal = Journal(run, PROCESS_NAME)
        self.results = Results(run.id)
        self.state = self._restore()
        self.listening = listening(self.journal.rows.values())  # waits for events that nobody has looked back for

    def go(self) -> None:
        while True:
            try:
                released = self._round()
            except (StaleState, Poked):
                self.journal.clear()
                self._read_wishes()
                self.state = self._restore()
                continue
            if released:
                return

    # --- one round ------------------------------------------------------------------------------------------------

    def _round(self) -> bool:
        """Decide, commit, act; True when the run is released."""
        if self.plan.starts_runs:
            self._hear_children()
        self.state.held = self.run.held or engine_paused()
        self._decide_stretch()
        now = clock.now()
        due = [] if pools.draining.is_set() else dispatchable(self.state, now)
        if len(due) == 1 and len(self.state.live) == 1 and self._may_run_in_place(due[0]):
            try:
                self._run_in_place(due[0])
            finally:
                _in_place.release()
            return False
        if not self.state.ended and (self.listening or listening(self.journal.changed.values())):
            self._commit(release=False)
            look_back(self.run, self.listening)
            self.listening = []
            return False
        released = self._commit(release=True)
        if self.state.ended:
            failpoint("run.after_terminal")
            self.ending.let_go()  # again: a step may have started one meanwhile
            waiting.notify_ended(self.run.id)
            return True
        if released:
            self._hint(due)
        return released

    def _decide_stretch(self) -> None:
        """Decide and evaluate pure steps until nothing moves without an effect; commit on the way if it takes long."""
        began, steps = time.monotonic(), 0
        while True:
            now = clock.now()
            decisions = decide(self.state, now, self._evaluate)
            for change in decisions.changes:
                if isinstance(change, RunChange):
                    self._run_changed(change, now)
                else:
                    self._step_changed(change, now)
            pure = [change.key for change in decisions.begun if self.plan.is_pure(change.node)]
            for key in pure:
                self._evaluate_pure(self.state.live[key])
            for step in decisions.gathered:
                self._gather(step)
            if not pure and not decisions.gathered:
                return
            steps += len(pure)
            if steps >= COMMIT_AFTER_STEPS or time.monotonic() - began > COMMIT_AFTER_SECONDS:
                self._commit(release=False)
                began, steps = time.monotonic(), 0

    def _evaluate_pure(self, step: StepState) -> None:
        row = self.journal.rows[step.key]
        self.journal.start(row, clock.now(), None)
        execution = Execution(self.run, self.plan, step.node, row)
        self._conclude(step, row, attempt(execution, self._scope_of_step(step, row)))

    def _gather(self, step: StepState) -> None:
        """The items of a map have ended: their results are its output. They are read once they are stored."""
        each = self.state.maps[step.key]
        self._commit(release=False)
        self._conclude(step, self.journal.rows[step.key], Result(outcome=gather(self.run, each)))

    def _run_in_place(self, step: StepState) -> None:
        """The only thing that this run can do now is this step: do it here."""
        row = self.journal.rows[step.key]
        before = replace(row)
        self.journal.start(row, clock.now(), self._lease_until())
        execution = Execution(self.run, self.plan, step.node, row)
        refused = execution.prepare(self._scope_of_step(step, row))
        row.inputs, execution.inputs_stored = execution.inputs, True
        try:
            self._commit(release=False, unless_poked=True)
        except Poked:
            self.journal.unstart(row, before)
            self._look_again()
            return
        self._adopt(step, row)
        result = Result(outcome=refused, inputs=execution.inputs) if refused else self._perform(execution)
        failpoint("result.before_commit")
        if result.dropped:  # cancelled or out of time: the commit reads why, the machine decides
            self._commit(release=False)
        else:
            self._conclude(step, row, result)

    def _perform(self, execution: Execution) -> Result:
        keeper.add(execution, held_run=self.run.lease_token, reliever=pools.slot_of_this_thread())
        try:
            return execution.perform()
        finally:
            keeper.remove(execution)

    def _conclude(self, step: StepState, row: StepRow, result: Result) -> None:
        """Record the end of an attempt that ran here, and tell the machine."""
        now = clock.now()
        events, cost = conclude(row, step.node, result, now, random.random)
        self.journal.settled(row, events, cost)
        if row.status in ("completed", "failed") and row.item is None:
            self.results.put(row.node_id, row.status, row.output, row.error)
        self._adopt(step, row)

    # --- between the machine and the rows -------------------------------------------------------------------------

    def _restore(self) -> RunState:
        """The machine's view of what is in the database."""
        run = self.run
        state = new_state(run, self.plan)
        self.journal.rows = {}
        self.ending = Ending(run, self.plan)
        if run.event_seq > 1:  # only run.created: there are no steps yet
            rows = step_store.load_steps(run.id)
            if self.plan.definition.maps:
                rows += step_store.load_live_items(run.id)
            for row in rows:
                self.journal.rows[row.key] = row
                if row.begun:
                    state.restore(step_state(self.plan, row))
            for node in self.plan.definition.maps:
                if node.id in state.live and state.live[node.id].status == "waiting":
                    state.maps[node.id] = map_state(run, state, node)
        return state

    def _refresh(self) -> None:
        """Someone has poked: read what may have changed of the live steps."""
        live = self.state.live
        if not live:
            return
        for row in step_store.load_these([self.journal.rows[key].id for key in live]):
            known = self.journal.rows[row.key]
            if (row.status, row.lease_token, row.lease_expires_at) != (
                known.status,
                known.lease_token,
                known.lease_expires_at,
            ):
                self.journal.rows[row.key] = row
                self._adopt(live[row.key], row)

    def _adopt(self, step: StepState, row: StepRow) -> None:
        """Tell the machine what a row says."""
        if row.status in ("completed", "failed", "skipped", "cancelled"):
            ended_at = row.finished_at or clock.now()
            self.state.settle(row.key, row.status, now=ended_at, branch=row.branch, error=row.error)  # type: ignore[arg-type]  # a StepStatus, just compared
            self.journal.forget(row)
            return
        if row.items is not None and row.key not in self.state.maps:
            self._open_map(row)
        fresh = step_state(self.plan, row)
        step.status, step.attempt, step.branch = fresh.status, fresh.attempt, fresh.branch
        step.available_at, step.lease_expires_at = fresh.available_at, fresh.lease_expires_at
        step.lost_count, step.then, step.resolution = fresh.lost_count, fresh.then, fresh.resolution

    def _hear_children(self) -> None:
        """Runs that steps wait for may have ended."""
        for row in relatives.hear([self.journal.rows[key] for key in self.state.live]):
            self.state.live[row.key].resolution = Verdict.of(row.resolution)

    def _open_map(self, row: StepRow) -> None:
        """A map begins to go over its items."""
        items = lists.put(self.run, row.node_id, row.items)
        self.state.maps[row.node_id] = MapState.of(self.plan.definition, row.node_id, count=len(items))

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
                self.journal.outputs(self._outputs())
            except ExpressionError as error:
                self.state.status = "failed"
                problem = {"code": "invalid_output", "message": error.message, "details": {"code": error.code}}
                change = RunChange(status="failed", event="run.failed", error=problem)
        if change.event == "run.failed":
            self.ending.failed(change.error or {}, self._scope)
        self.journal.run_changed(change, now, self.state.deadline_at)

    def _outputs(self) -> object:
        """The definition's `output`, or the outputs of the nodes that nothing follows."""
        template = self.plan.output
        if template is not None:
            return template.render(self._scope(template))
        definition = self.plan.definition
        sinks = [node.id for node in definition.nodes if not definition.outgoing[node.id]]
        self.results.load(sinks)
        return {node_id: self.results[node_id]["output"] for node_id in sinks}

    # --- expressions ----------------------------------------------------------------------------------------------

    def _evaluate(self, text: str, source: StepState | None) -> bool:
        """An edge's or node's `when`. `now` is the source's end: asked again, it gives the same answer."""
        expression = self.plan.expression(text)
        moment = source.finished_at if source is not None else None
        self.results.load(steps_named(expression))
        try:
            return truthy(expression.evaluate(scope_of(self.run, self.results, moment or clock.now())))
        except ExpressionError as error:
            raise EvaluationFailed(error.code, error.message) from None

    def _scope_of_step(self, step: StepState, row: StepRow) -> dict[str, object]:
        return self._scope(self.plan.config(step.node)) | item_of(self.run, row)

    def _scope(self, template: object) -> dict[str, object]:
        self.results.load(steps_named(template))  # type: ignore[arg-type]  # Template or Expression
        return scope_of(self.run, self.results, clock.now())

    # --- the database and the workers -----------------------------------------------------------------------------

    def _lease_until(self) -> datetime:
        return clock.now() + timedelta(seconds=settings.LEASE_SECONDS)

    def _look_again(self) -> None:
        """Someone has asked something of this run: read what."""
        self._read_wishes()
        run, state = self.run, self.state
        state.cancel_requested, state.pause_requested, state.held = run.cancel_requested, run.pause_requested, run.held
        if run.started_at is not None:  # else its beginning is not written yet
            state.deadline_at = run.deadline_at
        run.deadline_at = state.deadline_at
        self._refresh()

    def _read_wishes(self) -> None:
        run, found = self.run, run_store.read_wishes(self.run.id)
        run.pokes = found.pokes
        run.cancel_requested, run.pause_requested = found.cancel_requested, found.pause_requested
        run.held, run.held_at, run.deadline_at = found.held, found.held_at, found.deadline_at

    def _commit(self, *, release: bool, unless_poked: bool = False) -> bool:
        """Write the round; True if the lease was given back with it."""
        wake_at = self._wake_at() if release else None
        if release and self.run.held and self.run.held_at is None and held_back(self.state, clock.now()):
            self.journal.update.columns["held_at"] = self.run.held_at = clock.now()
        failpoint("commit.before")
        self.ending.let_go()
        done = run_store.commit(
            self.run,
            update=self.journal.update,
            steps=list(self.journal.changed.values()),
            events=self.journal.events,
            lease_until=self._lease_until(),
            release=release,
            wake_at=wake_at,
            unless_poked=unless_poked,
            unless_frozen=self.journal.begins,
            along=self.ending.along if self.state.ended else None,
        )
        failpoint("commit.after")
        self.listening += listening(self.journal.changed.values())
        self.journal.clear()
        self.run.status = self.state.status  # what `_restore` begins with
        if self.state.started and self.run.started_at is None:
            self.run.started_at = clock.now()
        poked, self.run.pokes = done.pokes != self.run.pokes, done.pokes
        self.state.cancel_requested, self.state.pause_requested = done.cancel_requested, done.pause_requested
        if done.released:
            alarm.at(wake_at, self.run.id)
        if poked and not done.released:
            self._look_again()
        return done.released

    def _wake_at(self) -> datetime | None:
        """What is ready is left to workers that are hinted; by a process that ends, to the next at once."""
        if engine_paused() and not self.state.ended:
            return clock.now()  # what has come to its moment is found when the engine goes on
        again_after = timedelta(0) if pools.draining.is_set() else AGAIN_AFTER
        return next_wake(self.state, clock.now(), again_after)

    def _may_run_in_place(self, step: StepState) -> bool:
        """I/O steps only, and never so many that no thread is left to drive: takes the semaphore if so."""
        return self.plan.queue(step.node) == "default" and _in_place.acquire(blocking=False)

    def _hint(self, due: list[StepState]) -> None:
        """Wake as many workers of each queue as there are steps for them."""
        for queue, count in Counter(self.plan.queue(step.node) for step in due).items():
            bell.work_now(self.run.id, queue, min(count, pools.width(queue)))
