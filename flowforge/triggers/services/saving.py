"""Creating, changing and removing event triggers. A change holds for what is published from then on."""

import uuid
from collections.abc import Callable, Mapping
from typing import Any

from django.db import transaction

from flowforge.api.caller import Caller
from flowforge.core import clock
from flowforge.core.errors import Fault, InvalidBody, NotFound
from flowforge.events.outbound import is_published_pattern
from flowforge.kernel.trigger_rules import faults_of
from flowforge.projects.models import Project
from flowforge.projects.selectors import require_active
from flowforge.triggers.constants import DIALECT
from flowforge.triggers.models import EventTrigger
from workflows.models import Workflow

Precondition = Callable[[EventTrigger], None]
"""Called under the lock with the trigger that is about to change; raises to stop (If-Match)."""


def create_trigger(*, project: Project, caller: Caller, given: Mapping[str, Any]) -> EventTrigger:
    """An event trigger of the project. `given`: fields of the contract. Raises InvalidBody (422) with all faults."""
    now = clock.now()
    row = EventTrigger(project=project, created_by=caller.actor, created_at=now, updated_at=now)
    _apply(row, given)
    row.save(force_insert=True)
    return row


@transaction.atomic
def update_trigger(
    *, trigger_id: uuid.UUID, given: Mapping[str, Any], precondition: Precondition | None = None
) -> EventTrigger:
    """Change what is given; null takes a rule away.

    Raises InvalidBody (422), NotFound, Conflict (409) in an archived project, and what `precondition` raises.
    """
    row = _lock(trigger_id, precondition)
    require_active(row.project)
    _apply(row, given)
    row.updated_at = clock.now()
    row.save(update_fields=[*given, "updated_at"])
    return row


@transaction.atomic
def delete_trigger(*, trigger_id: uuid.UUID, precondition: Precondition | None = None) -> None:
    """Remove it for good. Runs that it has started stay."""
    _lock(trigger_id, precondition).delete()


def _apply(row: EventTrigger, given: Mapping[str, Any]) -> None:
    faults = faults_of(given, DIALECT)
    if "event" in given and not is_published_pattern(given["event"]):
        detail = "Nothing of this name is ever published: transitions of runs are told to subscriptions."
        faults.append(Fault(pointer="/event", code="never_published", detail=detail))
    if "workflow_id" in given and not _has(row.project_id, given["workflow_id"]):
        faults.append(Fault(pointer="/workflow_id", code="not_found", detail="There is no such workflow."))
    if faults:
        raise InvalidBody(faults=faults)
    for name, value in given.items():
        setattr(row, name, value)


def _has(project_id: uuid.UUID, workflow_id: uuid.UUID) -> bool:
    return Workflow.objects.filter(pk=workflow_id, project_id=project_id).exists()


def _lock(trigger_id: uuid.UUID, precondition: Precondition | None) -> EventTrigger:
    rows = EventTrigger.objects.select_related("project").filter(pk=trigger_id)
    row = rows.select_for_update(of=("self",)).first()
    if row is None:
        raise NotFound
    if precondition is not None:
        precondition(row)
    return row
