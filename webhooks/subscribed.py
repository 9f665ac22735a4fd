"""Which projects have subscriptions, from memory: asked before every commit, it must cost nothing.

What is known is at most a second old in other processes, and forgotten at once where a subscription is changed.
"""

import uuid
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from django.db import transaction

from flowforge.core.recent import Recent
from flowforge.events.outbound import matches, names_of, possible_names
from webhooks.models import Subscription

REMEMBER_SECONDS: Final = 1.0

_ALL: Final = "all"
_known: Recent[Mapping[uuid.UUID, Sequence["Subscribed"]]] = Recent(ttl_seconds=REMEMBER_SECONDS)


@dataclass(frozen=True, kw_only=True, slots=True)
class Subscribed:
    """A subscription as matching needs it."""

    id: uuid.UUID
    patterns: tuple[str, ...]
    workflow_id: uuid.UUID | None  # None: of every workflow, and what no workflow has published

    def name_for(self, event: str, data: Mapping[str, object], workflow_id: uuid.UUID | None) -> str | None:
        """The name under which it is told of an event; None: it is not."""
        if self.workflow_id is not None and self.workflow_id != workflow_id:
            return None
        return next((name for name in names_of(event, data) if self._asks_for(name)), None)

    def may_want(self, event: str) -> bool:
        return any(self._asks_for(name) for name in possible_names(event))

    def _asks_for(self, name: str) -> bool:
        return any(matches(pattern, name) for pattern in self.patterns)


def of_project(project_id: uuid.UUID) -> Sequence[Subscribed]:
    """Those of a project that are enabled."""
    return _known.get(_ALL, _load).get(project_id, ())


def anybody_wants(project_id: uuid.UUID, events: Collection[str]) -> bool:
    subscriptions = of_project(project_id)
    return bool(subscriptions) and any(each.may_want(event) for each in subscriptions for event in events)


def forget() -> None:
    """Ask the database again from now on, and once more when the current transaction is committed."""
    _known.clear()
    transaction.on_commit(_known.clear)


def _load() -> Mapping[uuid.UUID, Sequence[Subscribed]]:
    """All of them: an installation has few, and one query a second answers for every project."""
    found: dict[uuid.UUID, list[Subscribed]] = {}
    rows = Subscription.objects.filter(enabled=True).order_by()
    for row in rows.values_list("project_id", "id", "events", "workflow_id"):
        subscribed = Subscribed(id=row[1], patterns=tuple(row[2]), workflow_id=row[3])
        found.setdefault(row[0], []).append(subscribed)
    return found
