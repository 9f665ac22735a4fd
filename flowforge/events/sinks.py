"""Who hears of what has happened, within the transaction in which it does: classes named in settings.EVENT_SINKS.

    with transaction.atomic():
        ...                                    # the change, and its row in the history
        sinks.tell(project_id, [...])          # and whoever has to know of it, or nothing of all this

Where no sink wants an event that costs nothing: `wanted` is asked first, and answers from memory.
"""

import logging
import uuid
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from typing import Any, Protocol

from django.conf import settings
from django.db import transaction
from django.utils.module_loading import import_string

log = logging.getLogger("flowforge.events")


@dataclass(frozen=True, kw_only=True, slots=True)
class Source:
    """The run that something has happened in."""

    run_id: uuid.UUID
    workflow_id: uuid.UUID
    version_id: uuid.UUID


@dataclass(frozen=True, kw_only=True, slots=True)
class Happening:
    """A transition of a run, or what a project's systems and steps have published."""

    event: str  # as in the history (`run.completed`), or its own name
    at: datetime
    data: Mapping[str, Any] = field(default_factory=dict)
    step_id: uuid.UUID | None = None
    source: Source | None = None  # None: of no run


class EventSink(Protocol):
    """Made once in a process, without arguments; called from any thread."""

    def wants(self, project_id: uuid.UUID, events: Collection[str]) -> bool:
        """Whether anybody wants to hear of any of these. Asked before every commit: it answers from memory."""
        ...

    def take(self, project_id: uuid.UUID, happenings: Sequence[Happening]) -> None:
        """Keep what is wanted of these, in the transaction that is open. Does no network or process work."""
        ...


def wanted(project_id: uuid.UUID, events: Collection[str]) -> bool:
    """Whether any sink wants any of these events."""
    return any(sink.wants(project_id, events) for sink in _sinks(tuple(settings.EVENT_SINKS)))


def tell(project_id: uuid.UUID, happenings: Sequence[Happening]) -> None:
    """Let every sink take its part. One that fails undoes neither the change nor what the others keep."""
    for sink in _sinks(tuple(settings.EVENT_SINKS)):
        try:
            with transaction.atomic():
                sink.take(project_id, happenings)
        except Exception:
            log.exception("%s has not taken %s", type(sink).__name__, [each.event for each in happenings])


@lru_cache(maxsize=8)
def _sinks(names: tuple[str, ...]) -> tuple[EventSink, ...]:
    return tuple(import_string(name)() for name in names)
