"""Which run may begin, and when: `causes` decides it, for the driver and for whoever asks why a run does not move.

A run takes a place at each of its gates (runs.gates) in the transaction by which it begins, or goes on after it has
waited. If one of them has none, nothing of that transaction stays: the run joins that gate's queue, and
nobody looks at it until it is its turn. Whoever leaves a place, or a queue, wakes those who are next in the same
transaction, so that no crash leaves a free place unseen; the sweep looks at the queues all the same.
"""

import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from django.db import transaction

from flowforge.core import bell, clock
from flowforge.core.clock import isoformat
from flowforge.engine.store import admission as store
from flowforge.engine.store.admission import HolderRow, Standing
from flowforge.engine.store.rows import ClaimedRun, RunUpdate
from flowforge.kernel import pacing
from flowforge.kernel.definition import Concurrency, RateLimit
from flowforge.kernel.runstate import RunState
from runs.gates import Gate, gates_of
from runs.services.intents import ask_to_cancel
from workflows.selectors import definition_of

WAKE_AT_ONCE: Final = 20  # of a queue; each of them that begins wakes the next
WOKEN_AGAIN_AFTER: Final = timedelta(seconds=5)  # as the sweep: who was hinted is not hinted again before
SHOWN_HOLDERS: Final = 20
SUPERSEDED_AT_ONCE: Final = 500

CODES: Final = {"key": "concurrency_key", "project": "concurrency_limit", "rate": "waiting_until"}


Along = Callable[[], None]
"""What is done within a commit's transaction."""


class NoPlace(Exception):
    """There is no place for the run: nothing was written."""

    def __init__(self, cause: "Cause") -> None:
        super().__init__(cause.code)
        self.cause = cause


class PlaceFound(Exception):
    """There is a place by now for a run that was about to queue: nothing was written."""


# --- the decision -------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What is in force now, whatever it was when the run was accepted: of the project, and of the newest version."""

    runs: int | None  # the project's `max_concurrent_runs`
    concurrency: Concurrency | None
    rate: RateLimit | None

    @property
    def places_of_key(self) -> int | None:
        return None if self.concurrency is None else self.concurrency.limit


@dataclass(frozen=True, slots=True, kw_only=True)
class GateFacts:
    """A gate as a run finds it. Holders and position are for people: the decision needs neither."""

    gate: Gate
    free: int | None  # places that nobody else has; None: no limit is in force
    last: Standing | None = None  # who in the queue would get the last free place
    opens_at: datetime | None = None  # of a rate that is used up
    holders: Sequence[HolderRow] = ()
    position: int | None = None  # from 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Cause:
    """Why a run does not begin, or go on."""

    code: str  # of api.md, section 14
    message: str
    gate: Gate | None = None
    holders: Sequence[HolderRow] = ()  # runs
    since: datetime | None = None
    until: datetime | None = None
    position: int | None = None
    unblock: Sequence[str] = ()  # actions


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """All that decides whether a run may begin. What it has passed already is left out of `gates`."""

    standing: Standing
    now: datetime
    begun: bool = False
    paused: bool = False
    run_at: datetime | None = None
    queued_at: datetime | None = None
    stops: Sequence[Cause] = ()  # what else keeps it from beginning: put first
    gates: Iterable[GateFacts] = ()  # in the order of passing; read one by one, as far as anyone asks


def causes(facts: Facts) -> Iterator[Cause]:
    """Why the run may not begin, the first thing first; nothing: it may."""
    yield from facts.stops
    if facts.paused:
        yield Cause(code="paused", message="The run is paused.", unblock=("resume",))
    if not facts.begun and facts.run_at is not None and facts.run_at > facts.now:
        message = f"It begins at {isoformat(facts.run_at)}."
        yield Cause(code="waiting_until", message=message, until=facts.run_at, unblock=("run_now",))
    for gate in facts.gates:
        if _is_shut(gate, facts.standing):
            yield _cause_of(gate, facts.queued_at)


def _is_shut(found: GateFacts, run: Standing) -> bool:
    """No place is free, or those that are belong to runs that stand before this one."""
    if found.free is None:
        return False
    return found.free <= 0 or (found.last is not None and found.last.is_ahead_of(run))


def _cause_of(found: GateFacts, since: datetime | None) -> Cause:
    messages = {
        "key": f"The places of the concurrency key {found.gate.key!r} are taken.",
        "project": "As many runs of the project are running as its max_concurrent_runs allows.",
        "rate": "The workflow's rate_limit paces its runs.",
    }
    return Cause(
        code=CODES[found.gate.kind],
        message=messages[found.gate.kind],
        gate=found.gate,
        holders=found.holders,
        since=since,
        until=found.opens_at,
        position=found.position,
        unblock=("cancel_holder", "run_now") if found.holders else ("run_now",),
    )


# --- the facts ----------------------------------------------------------------------------------------------------


def limits_of(workflow_id: uuid.UUID) -> Limits:
    runs, newest = store.limits_in_force(workflow_id)
    config = definition_of(newest).config
    return Limits(runs=runs, concurrency=config.concurrency, rate=config.rate_limit)


def gates_ahead(run: ClaimedRun, limits: Limits) -> list[Gate]:
    """The gates that a run has yet to pass."""
    return gates_of(
        project_id=run.project_id,
        workflow_id=run.workflow_id,
        concurrency_key=run.concurrency_key if run.key_held_since is None else None,
        limited_project=limits.runs is not None,
        rate_key=run.rate_key if run.started_at is None else None,
    )


def facts_of(run: ClaimedRun, limits: Limits, now: datetime, *, in_full: bool = False) -> Facts:
    """What there is to know of a run; `in_full`, for people, also whether it is paused, who has the places, and how
    many stand before it. The driver knows of pauses: the machine has let it come so far."""
    standing = Standing(priority=run.priority, id=run.id)
    return Facts(
        standing=standing,
        now=now,
        begun=run.started_at is not None,
        paused=in_full and (run.pause_requested or run.status == "paused"),
        run_at=run.run_at,
        queued_at=run.queued_at,
        gates=(read_gate(gate, limits, standing, now, in_full=in_full) for gate in gates_ahead(run, limits)),
    )


def why(run: ClaimedRun, now: datetime) -> list[Cause]:
    """Why a run does not begin, or may not go on: what the driver would find at this moment. Reads, and no more."""
    if run.status == "running" and run.started_at is not None:
        return []
    return list(causes(facts_of(run, limits_of(run.workflow_id), now, in_full=True)))


def read_gate(gate: Gate, limits: Limits, standing: Standing, now: datetime, *, in_full: bool = False) -> GateFacts:
    """What a gate has to say to a run; `in_full` for people."""
    free, opens_at = _room(gate, limits, now, standing.id)
    last = None if free is None or free <= 0 else store.standing_at(gate, free, standing.id)
    holders: Sequence[HolderRow] = ()
    if in_full and gate.kind != "rate":
        holders = store.holders(gate, SHOWN_HOLDERS, standing.id)
    position = store.count_ahead(gate, standing) + 1 if in_full else None
    return GateFacts(gate=gate, free=free, last=last, opens_at=opens_at, holders=holders, position=position)


def _room(
    gate: Gate, limits: Limits, now: datetime, other_than: uuid.UUID | None = None
) -> tuple[int | None, datetime | None]:
    """(places that are free, when the next one will be if that is known); None: no limit is in force."""
    if gate.kind == "rate":
        if limits.rate is None:
            return None, None
        arrival = store.arrival(gate)
        free = pacing.free(limits.rate, arrival, now)
        return free, None if free else pacing.opens_at(limits.rate, arrival, now)
    limit = limits.runs if gate.kind == "project" else limits.places_of_key
    return (None if limit is None else limit - store.count_holders(gate, other_than)), None


# --- the driver's side --------------------------------------------------------------------------------------------


class Places:
    """What limits mean to one drive of one run: what its commits take, leave and queue for."""

    def __init__(self, run: ClaimedRun) -> None:
        self._run = run
        self.missing: Cause | None = None
        self._woken: list[tuple[uuid.UUID, datetime]] = []

    def heed(self, refusal: Exception) -> None:
        """A commit was not made. NoPlace: the next one is to queue; PlaceFound: it is to try again."""
        if isinstance(refusal, PlaceFound):
            self.missing = None
        elif isinstance(refusal, NoPlace):
            self.missing = refusal.cause
            if self._run.started_at is None:
                self._run.deadline_at = None  # that start did not happen

    def along(self, state: RunState, update: RunUpdate, ending: Along | None) -> Along | None:
        """What has to be done within the commit of this round: `ending` if it ends the run, and what follows for
        places and queues."""
        run, along = self._run, ending if state.ended else None
        if run.queued_in is None and run.run_limit is None and run.concurrency_key is None and run.rate_key is None:
            return along
        if self.missing is not None and not state.ended and not state.pause_requested:
            return lambda: self._queue(along)
        return self._moving(state, update, along)

    def committed(self, released: bool, alarm: Callable[[datetime | None, uuid.UUID], None]) -> None:
        """Those who were woken are to be looked at; who has queued for a key that cancels what runs does so."""
        if not self._woken and self.missing is None:
            return
        if released and self.missing is not None:
            self._make_way()
        now = clock.now()
        for run_id, at in self._woken:
            if at <= now:
                bell.drive_now(run_id)
            else:
                alarm(at, run_id)
        self._woken.clear()

    def _make_way(self) -> None:
        """`on_conflict: cancel_running`: ask those to end that have the places."""
        gate = self.missing.gate if self.missing is not None else None
        if gate is None or gate.kind != "key":
            return
        rule = limits_of(self._run.workflow_id).concurrency
        if rule is None or rule.on_conflict != "cancel_running":
            return
        older = store.superseded(gate, self._run.id, rule.limit - 1, SUPERSEDED_AT_ONCE)
        if older:
            with transaction.atomic():
                ask_to_cancel(older, reason=f"superseded by the run {self._run.id}")

    # --- within the transaction -----------------------------------------------------------------------------------

    def _moving(self, state: RunState, update: RunUpdate, along: Along | None) -> Along | None:
        """The commit of a run that misses no place."""
        run = self._run
        begins = state.started and run.started_at is None
        takes = begins or (state.status == "running" and run.status != "running")
        if run.status == state.status and not begins and run.queued_in is None:
            return along
        if run.queued_in is not None:
            update.columns["queued_in"] = update.columns["queued_at"] = None
        if begins and run.concurrency_key is not None and run.key_held_since is None:
            update.columns["key_held_since"] = clock.now()
        if not state.started:
            update.columns["key_held_since"] = None  # paused, or ended, before it began
        return lambda: self._settle(along, takes=takes)

    def _settle(self, along: Along | None, *, takes: bool) -> None:
        """Take the places, or raise NoPlace; then wake who is next, where places or queues were left."""
        self._woken.clear()
        if along is not None:
            along()
        run, now = self._run, clock.now()
        limits = limits_of(run.workflow_id)
        gates = self._locked(limits)
        if takes:
            self._take(limits, now)
        for gate in gates:
            if gate.kind != "rate" or takes or run.queued_in == gate.id:
                self._wake(gate, limits, now)

    def _take(self, limits: Limits, now: datetime) -> None:
        run = self._run
        cause = self._first_cause(limits, now)
        if cause is not None:
            raise NoPlace(cause)
        for gate in gates_ahead(run, limits):
            if gate.kind == "rate" and limits.rate is not None:
                store.set_arrival(gate, pacing.after_one(limits.rate, store.arrival(gate), now))

    def _queue(self, along: Along | None) -> None:
        """Join the queue before the gate that is shut now, keeping the key if there was a place of it."""
        self._woken.clear()
        if along is not None:
            along()
        run, now = self._run, clock.now()
        limits = limits_of(run.workflow_id)
        gates = self._locked(limits)
        self.missing = cause = self._first_cause(limits, now)
        if cause is None:
            raise PlaceFound
        held_since = run.key_held_since
        if run.concurrency_key is not None and cause.gate is not None and cause.gate.kind != "key":
            held_since = held_since or now
        store.park(run.id, cause.gate, cause.code, now, held_since)
        for gate in gates:
            self._wake(gate, limits, now)

    def _first_cause(self, limits: Limits, now: datetime) -> Cause | None:
        return next(causes(facts_of(self._run, limits, now)), None)

    def _locked(self, limits: Limits) -> list[Gate]:
        """All gates of the run, and the one that it stands before, locked in their order."""
        run = self._run
        gates = gates_of(
            project_id=run.project_id,
            workflow_id=run.workflow_id,
            concurrency_key=run.concurrency_key,
            limited_project=limits.runs is not None or run.run_limit is not None,
            rate_key=run.rate_key,
        )
        for gate in gates:
            store.lock(gate)
        return gates

    def _wake(self, gate: Gate, limits: Limits, now: datetime) -> None:
        self._woken += [(run_id, at) for run_id, at in wake_next(gate, limits, now)]


# --- queues -------------------------------------------------------------------------------------------------------


def wake_next(gate: Gate, limits: Limits, now: datetime) -> list[tuple[uuid.UUID, datetime]]:
    """Let those who are next be looked at, as many as there are places; says who, and when.

    Within a transaction that has locked the gate. A rate that is used up wakes its first at the moment when it opens.
    """
    free, opens_at = _room(gate, limits, now)
    if opens_at is not None:
        return [(run_id, opens_at) for run_id in store.wake_heads(gate, 1, opens_at, opens_at)]
    count = WAKE_AT_ONCE if free is None else min(free, WAKE_AT_ONCE)
    if count <= 0:
        return []
    return [(run_id, now) for run_id in store.wake_heads(gate, count, now, now + WOKEN_AGAIN_AFTER)]


class Queues:
    """The safety net: looks at queues in turn, some each second, for places that nobody was woken for."""

    LOOK_AT_ONCE: Final = 50

    def __init__(self) -> None:
        self._last = ""

    def run_once(self, now: datetime) -> list[tuple[uuid.UUID, datetime]]:
        """Wake who is next, where there is room; says who, and when."""
        gates = store.queues_after(self._last, self.LOOK_AT_ONCE)
        self._last = gates[-1].id if len(gates) == self.LOOK_AT_ONCE else ""
        woken = []
        for gate in gates:
            limits = _limits_at(gate)
            free, opens_at = _room(gate, limits, now)
            if free is None or free > 0 or opens_at is not None:
                with transaction.atomic():
                    store.lock(gate)
                    woken += wake_next(gate, limits, now)
        return woken


def _limits_at(gate: Gate) -> Limits:
    if gate.kind == "project":
        return Limits(runs=store.project_limit(gate.owner), concurrency=None, rate=None)
    return limits_of(gate.owner)
