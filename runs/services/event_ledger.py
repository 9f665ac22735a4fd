"""What became of each event, in the ledger of triggers: `GET /v1/events/{id}/decisions`."""

import uuid
from typing import Final

from flowforge.core import clock
from flowforge.events.models import Event
from workflows.decisions import decisions_of
from workflows.services.decisions import Decision, Trigger, record_decisions

TRIGGER: Final = "event"
NOBODY: Final = Decision(decision="skipped", reason="nobody_waited")
UNMATCHED: Final = Decision(decision="skipped", reason="no_match", detail="Steps waited for it; none matched.")
FAILED: Final = Decision(decision="skipped", reason="error", detail="It could not be held against what waits.")


def note_fired(event: Event, *, run_id: uuid.UUID, step_id: uuid.UUID) -> None:
    """It has ended a step: in the transaction that does so."""
    _record(event, Decision(decision="fired", reason="matched", detail=f"step {step_id}", run_id=run_id))


def note_repeated(event: Event) -> None:
    """Its dedupe key came once more."""
    _record(event, Decision(decision="coalesced", reason="same_key"))


def note_skipped(event: Event, *, waited: int, unclear: int) -> None:
    """It has ended no step, unless the ledger says otherwise. Its row is locked by the caller's transaction."""
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
    if not decisions_of(TRIGGER, str(event.id)).filter(decision__in=("fired", "skipped")).exists():
        _record(event, decision)


def _record(event: Event, decision: Decision) -> None:
    trigger = Trigger(project_id=event.project_id, type=TRIGGER, id=str(event.id))
    record_decisions(trigger=trigger, decisions=[decision], now=clock.now())
