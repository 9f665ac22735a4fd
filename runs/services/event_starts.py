"""Starting what event triggers ask for: one run of each trigger for each event, whoever asks and how often.

Each trigger by itself, in a transaction of its own that has its run and its rows of the ledger, or neither. The run's
`start_key` says whether an event has been decided upon; where no run came of it, the ledger does.
"""

import logging
import uuid
from dataclasses import dataclass
from typing import Final

from django.db import Error, IntegrityError, transaction

from flowforge.core import clock
from flowforge.core.errors import FlowForgeError, InvalidBody
from flowforge.events.models import Event
from flowforge.kernel import trigger_rules
from flowforge.kernel.trigger_rules import TriggerRules, Unmappable, Unwanted
from flowforge.triggers.constants import DIALECT, LEDGER, RUNS
from flowforge.triggers.models import EventTrigger
from flowforge.triggers.selectors import listening_to
from runs.models import Run, StepRun
from runs.services import event_ledger
from runs.services.lineage import MAX_DEPTH, TooDeep
from runs.services.start import Origin, StartItem, Trigger, start_runs
from workflows import decisions
from workflows.models import Workflow
from workflows.services.decisions import Decision, record_decisions
from workflows.services.decisions import Trigger as Decider

_STEP: Final = "step:"  # of an event's source: a run has published it

log = logging.getLogger("flowforge.events")


@dataclass(frozen=True, kw_only=True, slots=True)
class Begun:
    """What came of an event."""

    heard: int  # triggers that ask for its name
    started: int  # runs, those that were started before included


@dataclass(frozen=True, kw_only=True, slots=True)
class _Publisher:
    """The run that has published an event, as far as it concerns those that follow; of none, what begins anew."""

    depth: int = 0  # of the runs that are started
    traceparent: str = ""


def start_triggered(*, event: Event, again: bool) -> Begun:
    """Start a run for each trigger of the event's project that asks for it. Not within a transaction.

    `again`: somebody may have begun with this before, and died. A trigger that nothing can be made of is noted in the
    ledger, and hinders no other. Raises what the database does, and what passes by itself (Unavailable): then the event
    stays open.
    """
    triggers = listening_to(event.project_id, event.name, event.created_at)
    if not triggers:
        return Begun(heard=0, started=0)
    publisher = _publisher_of(event)
    for row in triggers:
        if not (again and _is_decided(event, row)):
            _offer(event, row, publisher)
    return Begun(heard=len(triggers), started=event_ledger.count_started(event))


def start_key(event: Event, row: EventTrigger) -> str:
    """The same for the same event and trigger, for ever."""
    return f"event-{event.pk}-{row.pk}"


def _is_decided(event: Event, row: EventTrigger) -> bool:
    known = decisions.decisions_of(LEDGER, str(row.pk)).filter(created_at__gte=event.created_at)
    return known.filter(detail__startswith=event_ledger.named(event)).exists()


def _offer(event: Event, row: EventTrigger, publisher: _Publisher) -> None:
    """Decide on one trigger, unless that has been done."""
    try:
        with transaction.atomic():
            decision = _decide(event, row, publisher)
            if decision is not None:
                _record(event, row, decision)
    except IntegrityError:
        if not _is_started(event, row):
            raise
    except Error:  # the database's: it will be back, and the event is still there
        raise
    except Exception as error:
        if isinstance(error, FlowForgeError) and (error.retryable or error.status >= 500):
            raise
        with transaction.atomic():
            _record(event, row, _refusal(event, row, error))


def _decide(event: Event, row: EventTrigger, publisher: _Publisher) -> Decision | None:
    """Start what the trigger asks for; None: it has been started before. Raises what is wrong with it."""
    if _is_started(event, row):
        return None
    wanted = trigger_rules.apply(_rules(row), {"payload": event.payload, "event": event.name})
    if isinstance(wanted, Unwanted):
        return Decision(decision="skipped", reason=wanted.reason, detail=wanted.detail)
    if row.workflow.status == Workflow.Status.PAUSED:
        return Decision(decision="skipped", reason="workflow_paused")
    if publisher.depth > MAX_DEPTH:
        raise TooDeep(detail=f"{MAX_DEPTH} runs have led to this event: it starts no other.")
    item = StartItem(
        inputs=wanted.inputs,
        metadata={"event_id": str(event.pk), "event": event.name},
        dedupe_key=wanted.dedupe_key,
        start_key=start_key(event, row),
    )
    origin = Origin(
        actor=f"event-trigger:{row.pk}",
        trigger=Trigger(type=RUNS, id=str(row.pk)),
        traceparent=publisher.traceparent,
        depth=publisher.depth,
    )
    [answer] = start_runs(workflow=row.workflow, items=[item], origin=origin)
    if isinstance(answer, FlowForgeError):
        raise answer
    if not answer.created:
        return Decision(decision="coalesced", reason="debounced" if answer.joined else "same_key", run_id=answer.run.id)
    return Decision(decision="fired", reason="matched", run_id=answer.run.id)


def _is_started(event: Event, row: EventTrigger) -> bool:
    return Run.objects.filter(start_key=start_key(event, row)).exists()


def _rules(row: EventTrigger) -> TriggerRules:
    return TriggerRules(
        dialect=DIALECT,
        owner=f"trigger:{row.pk}",
        condition=row.match,
        input_mapping=row.input_mapping,
        dedupe=row.dedupe,
    )


def _refusal(event: Event, row: EventTrigger, error: Exception) -> Decision:
    if not isinstance(error, FlowForgeError):
        log.exception("event %s: trigger %s cannot be fired", event.pk, row.pk, exc_info=error)
        return Decision(decision="rejected", reason="error", detail=type(error).__name__)
    fault = next(iter(error.faults), None)
    detail = f"{fault.pointer}: {fault.detail}" if fault is not None else error.detail or error.title
    return Decision(decision="rejected", reason=_reason(row, error), detail=detail)


def _reason(row: EventTrigger, error: FlowForgeError) -> str:
    if isinstance(error, Unmappable):
        return "unmappable"
    if isinstance(error, InvalidBody):
        return "invalid_inputs"
    return "workflow_archived" if row.workflow.status == Workflow.Status.ARCHIVED else error.code


def _record(event: Event, row: EventTrigger, decision: Decision) -> None:
    """In the trigger's ledger always; in the event's, what it came to."""
    now = clock.now()
    text = f"{event_ledger.named(event)} {decision.detail}".rstrip()
    own = Decision(decision=decision.decision, reason=decision.reason, detail=text, run_id=decision.run_id)
    decider = Decider(project_id=event.project_id, type=LEDGER, id=str(row.pk))
    record_decisions(trigger=decider, decisions=[own], now=now)
    if decision.decision == "skipped":
        return
    event_ledger.note_triggered(event, trigger_id=row.pk, decision=decision)
    if decision.decision == "fired":
        EventTrigger.objects.filter(pk=row.pk).update(last_fired_at=now)


def _publisher_of(event: Event) -> _Publisher:
    """What a run publishes leads to runs one deeper: what starts itself without end is stopped."""
    if not event.source.startswith(_STEP):
        return _Publisher()
    step_id = uuid.UUID(event.source.removeprefix(_STEP))
    found = StepRun.objects.filter(pk=step_id).values_list("run__depth", "run__traceparent").first()
    return _Publisher() if found is None else _Publisher(depth=found[0] + 1, traceparent=found[1])
