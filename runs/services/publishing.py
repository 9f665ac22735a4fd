"""Publishing project events, waking the steps that wait for them, and starting what triggers ask for.

An event is stored first, then held against the steps that wait for its name, then against the triggers that ask for it
(event_starts). A step waits from the moment at which it
says so (`started_at`); what was published before doesn't count. Each step takes one event, the first whose `match`
holds; an event may end any number of steps.
"""

import logging
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any, Final

from django.db import DatabaseError, transaction
from django.db.models import F, Q
from django.db.models.fields.tuple_lookups import Tuple, TupleGreaterThan

from flowforge.core import clock
from flowforge.core.failpoints import failpoint
from flowforge.core.json import Json
from flowforge.events.models import Event
from flowforge.events.services import (
    DEDUPE_WINDOW,
    Recorded,
    events_since,
    note_matched,
    record_event,
    unmatched_events,
)
from flowforge.kernel.expressions import Expression, ExpressionError, compile_expression, truthy
from flowforge.steps import verdicts
from flowforge.steps.base import Completed
from flowforge.steps.wait_event import PREFIX
from runs.models import Run, StepRun
from runs.services import event_ledger
from runs.services.event_starts import start_triggered
from runs.services.outside import resolve_step
from runs.waits import OLDEST_FIRST, waiting_steps

PAGE: Final = 500  # waiting steps that are held against an event at a time
LOOK_BACK: Final = timedelta(seconds=60)  # within it, the row of a step that began to wait is on disk
UNMATCHED_AFTER: Final = timedelta(seconds=10)  # an event that is not matched by then has lost its publisher
log = logging.getLogger("flowforge.events")

_COLUMNS: Final = ("id", "run_id", "started_at", "then")


@dataclass(frozen=True, kw_only=True, slots=True)
class Unclear:
    """A step that goes on waiting because its `match` could not be evaluated."""

    run_id: uuid.UUID
    step_id: uuid.UUID
    code: str
    message: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Publication:
    """An event that is stored, and whom it has woken."""

    event: Event
    created: bool  # False: the dedupe key had this one already
    matched: int
    unclear: Sequence[Unclear] = field(default=())


@dataclass(frozen=True, kw_only=True, slots=True)
class _Listener:
    """A step that waits, and what it makes of an event."""

    step_id: uuid.UUID
    run_id: uuid.UUID
    match: Expression | None  # None: every event will do

    def reads(self, root: str) -> bool:
        return self.match is not None and any(reference.root == root for reference in self.match.references)


def publish_event(
    *,
    project_id: uuid.UUID,
    name: str,
    payload: Mapping[str, Json],
    source: str,
    dedupe_key: str | None = None,
    window: timedelta | None = DEDUPE_WINDOW,
) -> Publication:
    """Store an event, end the steps and start the runs that it is for. Not within a transaction: they may be many."""
    recorded = record_event(
        project_id=project_id, name=name, payload=payload, source=source, dedupe_key=dedupe_key, window=window
    )
    return match_recorded(recorded)


def match_recorded(recorded: Recorded) -> Publication:
    """Go on with an event once it is stored; one that its dedupe key had is noted as a repeat. Not within a
    transaction."""
    if not recorded.created:
        event_ledger.note_repeated(recorded.event)
    return match_event(event=recorded.event, created=recorded.created)


def match_event(*, event: Event, created: bool) -> Publication:
    """Hold an event that is stored against all that hears it, unless that has been done.

    One that is not `created` here lost its publisher on the way, or has it still at work: steps that began to wait
    after it are left alone.
    """
    if event.matched_at is not None:
        return Publication(event=event, created=created, matched=event.matched_count)
    failpoint("event.after_store")
    matched, waited, unclear = 0, 0, []
    for page in _pages(event, until=None if created else event.created_at):
        inputs = _inputs_of(page)
        waited += len(page)
        for listener in page:
            try:
                matched += _offer(event, listener, inputs.get(listener.run_id))
            except ExpressionError as error:
                unclear.append(_unclear(listener, error))
    begun = start_triggered(event=event, again=not created)
    with transaction.atomic():
        note_matched(event=event, count=matched, started=begun.started)
        if not matched:
            event_ledger.note_skipped(event, waited=waited + begun.heard, unclear=len(unclear))
    return Publication(event=event, created=created, matched=event.matched_count, unclear=unclear)


def match_earlier_events(
    *, run_id: uuid.UUID, project_id: uuid.UUID, step_id: uuid.UUID, name: str, since: datetime
) -> bool:
    """Give a step the first event that came after it began to wait, before its row could be seen; True if one fits."""
    events = events_since(project_id=project_id, name=name, since=since, until=since + LOOK_BACK, limit=PAGE)
    rows = StepRun.objects.filter(id=step_id, run_id=run_id).values_list(*_COLUMNS) if events else ()
    listeners = [_listener(row) for row in rows]
    inputs = _inputs_of(listeners)
    for event in events:
        for listener in listeners:
            try:
                if _offer(event, listener, inputs.get(run_id)):
                    return True
            except ExpressionError:
                continue  # told to whoever published it, if its row was seen; a later event may be clear
    return False


def resume_matching(now: datetime, limit: int = 100) -> int:
    """Match the events whose publishers have died on the way; says how many. Any number may do so at once."""
    events = unmatched_events(before=now - UNMATCHED_AFTER, limit=limit)
    for event in events:
        try:
            match_event(event=event, created=False)
        except DatabaseError:
            raise  # the database will be back, and the event is still there
        except Exception:
            log.exception("event %s: it cannot be matched, and is left at that", event.id)
            with transaction.atomic():
                note_matched(event=event, count=0)
                event_ledger.note_failed(event)
    return len(events)


def _pages(event: Event, until: datetime | None) -> Iterator[list[_Listener]]:
    """The steps of the event's project that wait for it, those that have waited longest first."""
    steps = waiting_steps(PREFIX + event.name).filter(run__project_id=event.project_id).order_by(*OLDEST_FIRST)
    if until is not None:
        steps = steps.filter(started_at__lte=until)
    seen = None
    while True:
        beyond = steps if seen is None else steps.filter(TupleGreaterThan(Tuple(*map(F, OLDEST_FIRST)), seen))
        rows = list(beyond.values_list(*_COLUMNS)[:PAGE])
        if rows:
            yield [_listener(row) for row in rows]
        if len(rows) < PAGE:
            return
        seen = (rows[-1][2], rows[-1][0])


def _listener(row: tuple[Any, ...]) -> _Listener:
    step_id, run_id, _, then = row
    text = (then or {}).get("asks", {}).get("match")  # the step has seen to it that it parses
    return _Listener(step_id=step_id, run_id=run_id, match=None if text is None else _compiled(text))


_compiled = lru_cache(maxsize=10_000)(compile_expression)


def _inputs_of(listeners: Sequence[_Listener]) -> dict[uuid.UUID, Json]:
    """Run -> inputs, of those whose `match` reads them: one query."""
    wanted = {listener.run_id for listener in listeners if listener.reads("inputs")}
    return dict(Run.objects.filter(id__in=wanted).values_list("id", "inputs")) if wanted else {}


def _offer(event: Event, listener: _Listener, inputs: Json) -> bool:
    """End a step with an event that matches; False if it doesn't, or something else has ended the step.

    Raises ExpressionError if `match` cannot be evaluated.
    """
    if listener.match is not None:
        scope = {"payload": event.payload, "event": event.name, "inputs": inputs, "steps": _steps_of(listener)}
        if not truthy(listener.match.evaluate(scope)):
            return False
    told = {"by": event.name, "actor": f"event:{event.id}"}
    in_time = Q(available_at__isnull=True) | Q(available_at__gt=clock.now())
    with transaction.atomic():
        ended = resolve_step(
            run_id=listener.run_id,
            step_id=listener.step_id,
            only=Q(status="waiting", waits_for=PREFIX + event.name) & in_time,
            resolution=verdicts.stored(Completed(output=event.payload)) | {"told": told},
        )
        if ended:
            event_ledger.note_fired(event, run_id=listener.run_id, step_id=listener.step_id)
    return ended


def _steps_of(listener: _Listener) -> dict[str, Json]:
    """Results of the run's steps, if `match` reads any: those before it have ended, and don't change any more."""
    if not listener.reads("steps"):
        return {}
    rows = StepRun.objects.filter(run_id=listener.run_id).values_list("node_id", "status", "output", "error")
    names = {ref.name for ref in listener.match.references if ref.root == "steps"} if listener.match else set()
    if None not in names:
        rows = rows.filter(node_id__in=names)
    return {node: {"status": status, "output": output, "error": error} for node, status, output, error in rows}


def _unclear(listener: _Listener, error: ExpressionError) -> Unclear:
    return Unclear(run_id=listener.run_id, step_id=listener.step_id, code=error.code, message=error.message)
