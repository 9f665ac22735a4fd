"""What became of each event, in the ledger of triggers: `GET /v1/events/{id}/decisions`."""

import uuid
from typing import Final

from django.db.models import Q

from flowforge.core import clock
from flowforge.events.models import Event
from workflows.decisions import Rows, decisions_of
from workflows.services.decisions import Decision, Trigger, record_decisions

TRIGGER: Final = "event"
BY_TRIGGER: Final = "triggered"  # the reason of `fired` where an event trigger has started a run
_TELLING: Final = Q(decision__in=("fired", "skipped", "rejected")) | Q(run_id__isnull=False)  # something came of it
NOBODY: Final = Decision(decision="skipped", reason="nobody_waited")
UNMATCHED: Final = Decision(decision="skipped", reason="no_match", detail="Steps or triggers heard it; none matched.")
FAILED: Final = Decision(decision="skipped", reason="error", detail="It could not be held against what waits.")


def note_fired(event: Event, *, run_id: uuid.UUID, step_id: uuid.UUID) -> None:
    """It has ended a step: in the transaction that does so."""
    _record(event, Decision(decision="fired", reason="matched", detail=f"step {step_id}", run_id=run_id))


def named(event: Event) -> str:
    """How the ledger of another trigger names an event."""
    return f"event {event.pk}"


def note_triggered(event: Event, *, trigger_id: uuid.UUID, decision: Decision) -> None:
    """An event trigger has started a run of it, or was refused: in the transaction that does so."""
    detail = f"event trigger {trigger_id} {decision.detail}".rstrip()
    reason = BY_TRIGGER if decision.decision == "fired" else decision.reason
    _record(event, Decision(decision=decision.decision, reason=reason, detail=detail, run_id=decision.run_id))


def runs_started_by(event: Event, limit: int) -> list[uuid.UUID]:
    """The runs that event triggers have started of an event."""
    return [row["run_id"] for row in _triggered(event)[:limit]]


def count_started(event: Event) -> int:
    return _triggered(event).count()


def _triggered(event: Event) -> Rows:
    return decisions_of(TRIGGER, str(event.pk)).filter(decision="fired", reason=BY_TRIGGER)


def note_repeated(event: Event) -> None:
    """Its dedupe key came once more."""
    _record(event, Decision(decision="coalesced", reason="same_key"))


def note_skipped(event: Event, *, waited: int, unclear: int) -> None:
    """It has ended no step and started no run, unless the ledger says otherwise.

    `waited`: steps that waited for it, and triggers that ask for its name. Its row is locked by the caller's
    transaction.
    """
    if unclear:
        found = Decision(
            decision="skipped", reason="unclear_match", detail=f"`match` of {unclear} steps could not be evaluated."
        )
    else:
        found = UNMATCHED if waited else NOBODY
    _skip(event, found)


def note_failed(event: Event) -> None:
    """It could not be held against what waits. Its row is locked by the caller's transaction."""
    _skip(event, FAILED)


def _skip(event: Event, decision: Decision) -> None:
    if not decisions_of(TRIGGER, str(event.id)).filter(_TELLING).exists():
        _record(event, decision)


def _record(event: Event, decision: Decision) -> None:
    trigger = Trigger(project_id=event.project_id, type=TRIGGER, id=str(event.id))
    record_decisions(trigger=trigger, decisions=[decision], now=clock.now())
