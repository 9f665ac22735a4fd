"""Why a run does not move: what its driver would decide now, by the functions that decide it, and without writing.

`kernel.machine.decide` goes over the run as it is stored; `admission.causes` says whether it finds places;
`kernel.dispatch.dispatchable` which steps begin; the registry of workers whether anyone takes them. So what is said
here is what is done: tests/engine/test_explain_properties.py holds the two against each other.
"""

import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import cached_property
from typing import Final

from flowforge.core.bell import CONTROL_QUEUE
from flowforge.core.clock import isoformat
from flowforge.engine import admission, pools, waits
from flowforge.engine.held import HeldRun
from flowforge.engine.obstacles import Obstacle, of_cause
from flowforge.engine.store import holds
from flowforge.engine.store import runs as run_store
from flowforge.engine.store.rows import ClaimedRun
from flowforge.kernel.dispatch import dispatchable, is_sole, ready
from flowforge.kernel.machine import decide
from flowforge.kernel.runstate import StepState
from flowforge.operating.constants import ENGINE_ID, FROZEN, MAINTENANCE_ID
from flowforge.operating.models import Hold
from flowforge.operating.selectors import holds_of
from flowforge.workers import selectors as workers
from flowforge.workers.models import Worker
from runs.models import Run

MAX_CAUSES: Final = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """What keeps a run, and what of it begins as soon as a driver looks."""

    causes: Sequence[Obstacle] = ()
    begins: Sequence[str] = ()  # steps, by their keys
    running: Sequence[str] = ()
    ended: bool = False
    ends: bool = False  # cancelled, out of time, or done: at its driver's next look

    @property
    def summary(self) -> str:
        if self.ended:
            return "The run has ended."
        if self.ends:
            return "The run ends as soon as a driver looks at it."
        if self.begins:
            return f"It goes on at once: {_listed(self.begins)} about to begin."
        if self.running:
            return f"It moves: {_listed(self.running)} running."
        if not self.causes:
            return "It goes on as soon as a driver looks at it."
        more = len(self.causes) - 1
        return self.causes[0].message + (f" And {more} more." if more else "")


def explain(run_id: uuid.UUID, now: datetime) -> Explanation:
    """Of a run that the caller may see."""
    run = run_store.read_run(run_id)
    return Explanation(ended=True) if run is None else _Reading(run, now).explanation()


@dataclass(slots=True)
class _Found:
    causes: list[Obstacle] = field(default_factory=list)
    begins: list[str] = field(default_factory=list)


class _Reading:
    """One look at one run. The machine's state is ours alone: it goes on in memory."""

    def __init__(self, run: ClaimedRun, now: datetime) -> None:
        self.run = run
        self.now = now
        self.held = HeldRun(run, "explain")
        self.state = self.held.state

    def explanation(self) -> Explanation:
        run, state = self.run, self.state
        stops = list(self._stops())
        if self.held.plan.starts_runs:
            self.held.hear_children()
        state.held = run.frozen or self._maintenance is not None
        before, started = run.status, run.started_at is not None
        decided = decide(state, self.now, self.held.evaluate)
        pure = [change.key for change in decided.begun if self.held.plan.is_pure(change.node)]
        if state.ended:
            stops = [each for each in stops if each.code != "frozen"]  # which keeps no run from its end
            return Explanation(ends=not stops, causes=stops)
        takes = state.status == "running" and before != "running"
        found = _Found(causes=[*stops, *self._kept(at_gates=takes or not started)])
        if started or not found.causes:
            self._steps(found, pure)
        running = [step.key for step in state.live.values() if step.status == "running"]
        return Explanation(causes=found.causes[:MAX_CAUSES], begins=found.begins, running=running)

    # --- the run --------------------------------------------------------------------------------------------------

    def _kept(self, *, at_gates: bool) -> Iterator[Obstacle]:
        """Its own pause, its `run_at`, and where it stands before them, its gates."""
        limits = admission.limits_of(self.run.workflow_id)
        facts = replace(admission.facts_of(self.run, limits, self.now, in_full=True), paused=self.run.pause_requested)
        for cause in admission.causes(facts if at_gates else replace(facts, gates=())):
            found = of_cause(cause, self.run)
            yield replace(found, since=self._paused_since()) if cause.code == "paused" else found

    def _paused_since(self) -> datetime | None:
        return Run.objects.filter(pk=self.run.id).values_list("pause_requested_at", flat=True).first()

    def _stops(self) -> Iterator[Obstacle]:
        """What keeps everything: maintenance, freezes, that nobody is there."""
        if self._maintenance is not None:
            yield _paused_engine(self._maintenance)
        if self.run.frozen:
            yield from (self._freeze(hold) for hold in self._holds.values() if hold.scope != "maintenance")
        if CONTROL_QUEUE not in self._slots:
            yield Obstacle(code="waiting_for_worker", message="No worker process is alive.", unblock=("start_worker",))

    @cached_property
    def _holds(self) -> Mapping[uuid.UUID, Hold]:
        return holds_of([self.run.project_id, self.run.workflow_id, ENGINE_ID, MAINTENANCE_ID])

    @property
    def _maintenance(self) -> Hold | None:
        return self._holds.get(MAINTENANCE_ID)

    def _freeze(self, hold: Hold) -> Obstacle:
        what = "Everything" if hold.scope == "engine" else f"The {hold.scope}"
        if hold.status == FROZEN:
            until = "" if hold.until is None else f" until {isoformat(hold.until)}"
            message, position = f"{what} was frozen by {hold.by}{until}: {hold.reason}", None
        else:
            message = f"{what} thaws at {hold.rate}: its turn is to come."
            position = holds.count_ahead(self.run.id) + 1
        return Obstacle(
            code="frozen",
            message=message,
            holder=(hold.scope, str(hold.scope_id)),
            since=hold.since,
            until=hold.until,
            position=position,
            unblock=("thaw",),
        )

    # --- its steps ------------------------------------------------------------------------------------------------

    def _steps(self, found: _Found, pure: Sequence[str]) -> None:
        """What of the steps begins, and what keeps the others."""
        kept = bool(found.causes)
        for step in self.state.live.values():
            found.causes.extend(self._wait(step))
        if pure and not kept:  # evaluated before anything else begins: what then does depends on them
            found.begins.extend(pure)
        elif not kept:
            self._dispatch(found)
        found.causes.extend(self._dependencies())

    def _dispatch(self, found: _Found) -> None:
        due = dispatchable(self.state, self.now)
        for step in due:
            obstacle = self._worker_for(step, due)
            if obstacle is None:
                found.begins.append(step.key)
            else:
                found.causes.append(obstacle)
        found.causes.extend(self._over_limit(len(due)))

    def _wait(self, step: StepState) -> Iterator[Obstacle]:
        row = self.held.journal.rows.get(step.key)
        if row is None:
            return
        if step.status == "waiting" and not (step.is_due(self.now) or step.resolution is not None):
            yield from waits.obstacles(row)
        elif step.status == "retrying" and step.available_at is not None and step.available_at > self.now:
            yield waits.backoff(row)

    def _worker_for(self, step: StepState, due: Sequence[StepState]) -> Obstacle | None:
        """Why nobody takes a step that may begin, if so."""
        queue = self.held.plan.queue(step.node)
        if queue == pools.IN_PLACE and is_sole(self.state, due):
            return None
        slots = self._slots.get(queue)
        if slots is not None and self._busy.get(queue, 0) < slots:
            return None
        reason = "none is alive" if slots is None else f"all of its {slots} places are busy"
        return Obstacle(
            code="no_worker_for_queue" if slots is None else "waiting_for_worker",
            message=f"{step.key} waits for a worker of the queue {queue}: {reason}.",
            holder=("queue", queue),
            since=step.available_at,
            step=step.key,
            unblock=("start_worker",),
        )

    def _over_limit(self, begun: int) -> Iterator[Obstacle]:
        """Steps for which `max_concurrency` leaves no room."""
        over = ready(self.state, self.now)[begun:]
        limit = self.held.plan.definition.config.max_concurrency
        for place, step in enumerate(over[:MAX_CAUSES], 1):
            yield Obstacle(
                code="concurrency_limit",
                message=f"{step.key} waits: the run's max_concurrency of {limit} is used up.",
                holder=("workflow", str(self.run.workflow_id)),
                since=step.available_at,
                position=place,
                step=step.key,
                unblock=("raise_limit",),
            )

    def _dependencies(self) -> Iterator[Obstacle]:
        """Nodes that have not begun, because of steps that run."""
        state, definition = self.state, self.state.definition
        running = [step for step in state.live.values() if step.status == "running"]
        for step in running[:MAX_CAUSES]:
            later = [edge.target for edge in definition.outgoing[step.node.id] if edge.target not in state.steps]
            if later and step.index is None:
                row = self.held.journal.rows[step.key]
                yield Obstacle(
                    code="dependency",
                    message=f"{_listed(later)} waiting for {step.key}, which is running.",
                    holder=("step", str(row.id)),
                    since=row.started_at,
                    step=later[0],
                )

    # --- the fleet ------------------------------------------------------------------------------------------------

    @cached_property
    def _slots(self) -> Mapping[str, int]:
        return workers.slots_by_queue(self._fleet)

    @cached_property
    def _busy(self) -> Mapping[str, int]:
        return workers.busy_by_queue(self._fleet)

    @cached_property
    def _fleet(self) -> Sequence[Worker]:
        return workers.live_workers(self.now)


def _paused_engine(hold: Hold) -> Obstacle:
    reason = f": {hold.reason}" if hold.reason else "."
    return Obstacle(
        code="engine_paused",
        message=f"The engine was paused by {hold.by}{reason}",
        holder=("engine", None),
        since=hold.since,
        unblock=("resume_engine",),
    )


def _listed(keys: Sequence[str]) -> str:
    """`a is`, `a and b are`, `a, b and 7 more are`."""
    if len(keys) == 1:
        return f"{keys[0]} is"
    if len(keys) == 2:
        return f"{keys[0]} and {keys[1]} are"
    return f"{keys[0]}, {keys[1]} and {len(keys) - 2} more are"
