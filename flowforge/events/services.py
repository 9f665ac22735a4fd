"""Keeping events. Whom they wake is for the apps above: `runs.services.publishing`."""

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from django.db import transaction
from django.db.models import F

from flowforge.core import clock
from flowforge.core.json import Json
from flowforge.events import sinks
from flowforge.events.models import Event
from flowforge.events.sinks import Happening

DEDUPE_WINDOW: Final = timedelta(hours=24)
KEPT_FOR: Final = timedelta(days=30)
_MAX_ROUNDS = 10  # each round lost means that someone else took an expired key: more than one is a rarity


@dataclass(frozen=True, kw_only=True, slots=True)
class Recorded:
    """An event that is stored."""

    event: Event
    created: bool  # False: the dedupe key had this one already


def record_event(
    *,
    project_id: uuid.UUID,
    name: str,
    payload: Mapping[str, Json],
    source: str,
    dedupe_key: str | None = None,
    window: timedelta | None = DEDUPE_WINDOW,
) -> Recorded:
    """Store an event, unless its dedupe key has one within `window` (None: as long as that one is kept).

    The unique constraint decides between those who come at once. A key that has expired is taken from its event by a
    guarded update, then offered again to all who want it.
    """
    now = clock.now()
    event = Event(project_id=project_id, name=name, payload=dict(payload), source=source, created_at=now)
    event.dedupe_key = dedupe_key
    if not sinks.wanted(project_id, [name]):
        return _store(event, window)
    with transaction.atomic():  # the event and what sinks keep of it, or neither
        recorded = _store(event, window)
        if recorded.created:
            sinks.tell(project_id, [Happening(event=name, at=now, data=event.payload)])
    return recorded


def _store(event: Event, window: timedelta | None) -> Recorded:
    if event.dedupe_key is None:
        event.save(force_insert=True)
        return Recorded(event=event, created=True)
    for _ in range(_MAX_ROUNDS):
        Event.objects.bulk_create([event], ignore_conflicts=True)
        holder = Event.objects.filter(project_id=event.project_id, dedupe_key=event.dedupe_key).first()
        if holder is None:
            continue  # cleaned away between the two statements
        if holder.id == event.id or window is None or holder.created_at > event.created_at - window:
            return Recorded(event=holder, created=holder.id == event.id)
        Event.objects.filter(id=holder.id, dedupe_key=event.dedupe_key).update(dedupe_key=None)
    raise RuntimeError("an event's dedupe key keeps changing hands")


def note_matched(*, event: Event, count: int, started: int = 0) -> None:
    """It has been held against all that heard it: it has ended `count` more steps, and started so many runs in all."""
    now = clock.now()
    Event.objects.filter(id=event.id).update(
        matched_at=now, matched_count=F("matched_count") + count, started_count=started
    )
    event.matched_at = now
    event.matched_count += count
    event.started_count = started


def events_since(*, project_id: uuid.UUID, name: str, since: datetime, until: datetime, limit: int) -> list[Event]:
    """The events of that name of a span of time, oldest first."""
    events = Event.objects.filter(project_id=project_id, name=name, created_at__gte=since, created_at__lte=until)
    return list(events.order_by("created_at", "id")[:limit])


def unmatched_events(*, before: datetime, limit: int) -> list[Event]:
    """Events stored before a moment that nobody has held against all that waited, oldest first."""
    events = Event.objects.filter(matched_at__isnull=True, created_at__lte=before)
    return list(events.order_by("created_at")[:limit])


def purge(*, now: datetime, limit: int) -> int:
    """Delete at most `limit` events that have been kept long enough; says how many."""
    expired = Event.objects.filter(created_at__lte=now - KEPT_FOR).order_by("created_at")
    deleted, _ = Event.objects.filter(pk__in=list(expired.values_list("pk", flat=True)[:limit])).delete()
    return deleted
