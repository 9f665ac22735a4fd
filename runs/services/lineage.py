"""Runs that runs start: children of `workflow` steps, and what `config.on_failure` names.

Each is started once, whoever asks how often: its `start_key` is looked up under the parent's lock.
"""

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from django.db import transaction
from django.db.models import F, QuerySet

from flowforge.core import bell, clock
from flowforge.core.errors import Conflict, FlowForgeError, NotFound
from flowforge.core.json import Json
from flowforge.kernel.states import ENDED_RUN_STATUSES, LIVE_RUN_STATUSES
from runs.models import Run
from runs.services.start import Origin, StartItem, Trigger, start_runs
from workflows.models import Workflow

MAX_DEPTH: Final = 10  # runs that lead to a run: what calls itself without end is stopped
_CHUNK: Final = 500


class TooDeep(Conflict):
    """Runs start runs that start runs …: more than MAX_DEPTH."""

    code = "too_deep"


@dataclass(frozen=True, kw_only=True, slots=True)
class Start:
    """What a run asks for."""

    parent_run_id: uuid.UUID
    workflow_id: str  # of the parent's project
    inputs: Mapping[str, Json]
    trigger: Trigger
    start_key: str  # the same key, the same run
    awaited: bool = False


@transaction.atomic
def start_child(start: Start) -> uuid.UUID:
    """Start a run for a step of a live run; answers the id of that, or of the one which that has started before.

    The parent's row is locked: whoever asks it to end from now on finds the child and ends it too.
    Raises Conflict if the parent is about to end, and what `start_related` raises.
    """
    parent = Run.objects.select_for_update(of=("self",)).get(pk=start.parent_run_id)
    known = Run.objects.filter(start_key=start.start_key).values_list("id", flat=True).first()
    if known is not None:
        return known
    late = parent.deadline_at is not None and parent.deadline_at <= clock.now()
    if parent.status in ENDED_RUN_STATUSES or parent.cancel_requested_at is not None or late:
        raise Conflict(detail="The run is about to end: it starts no other.")
    return start_related(parent, start)


def start_related(parent: Run, start: Start) -> uuid.UUID:
    """Start a run on behalf of another one, in the transaction of the caller, which has made sure that it is the first.

    Raises TooDeep, NotFound if the parent's project has no such workflow, Conflict if that takes no runs, InvalidBody
    if the inputs don't fit.
    """
    if parent.depth >= MAX_DEPTH:
        raise TooDeep(detail=f"{MAX_DEPTH} runs have led to this one: it may not start another.")
    origin = Origin(
        actor=f"run:{parent.id}",
        trigger=start.trigger,
        traceparent=parent.traceparent,
        parent_run_id=parent.id,
        depth=parent.depth + 1,
        awaited=start.awaited,
    )
    item = StartItem(inputs=start.inputs, start_key=start.start_key)
    [answer] = start_runs(workflow=_workflow(parent.project_id, start.workflow_id), items=[item], origin=origin)
    if isinstance(answer, FlowForgeError):
        raise answer
    return answer.run.id


def cancel_children(start_keys: Sequence[str]) -> None:
    """Ask those runs to end that were started with these keys and that steps wait for; the others go their own way."""
    for first in range(0, len(start_keys), _CHUNK):
        keys = start_keys[first : first + _CHUNK]
        children = _live(Run.objects.filter(start_key__in=keys, awaited=True, cancel_requested_at=None))
        for run_id in children.values_list("id", flat=True):
            _cancel(run_id)


def wake_parent(parent_run_id: uuid.UUID) -> None:
    """Let a run look again: one that a step of it waits for has ended. Within the transaction that ends it."""
    woken = _live(Run.objects.filter(id=parent_run_id)).update(wake_at=clock.now(), pokes=F("pokes") + 1)
    if woken:
        bell.drive(parent_run_id)


@transaction.atomic
def _cancel(run_id: uuid.UUID) -> None:
    now = clock.now()
    asked = _live(Run.objects.filter(id=run_id, cancel_requested_at=None)).update(
        cancel_requested_at=now, wake_at=now, pokes=F("pokes") + 1
    )
    if asked:
        bell.drive(run_id)


def _live(runs: QuerySet[Run]) -> QuerySet[Run]:
    return runs.filter(status__in=LIVE_RUN_STATUSES).order_by()


def _workflow(project_id: uuid.UUID, workflow_id: str) -> Workflow:
    try:
        wanted = uuid.UUID(workflow_id)
    except ValueError:
        raise NotFound(detail=f"{workflow_id[:100]!r} is not the id of a workflow.") from None
    found = Workflow.objects.select_related("project").filter(project_id=project_id, id=wanted).first()
    if found is None:
        raise NotFound(detail=f"The project has no workflow {wanted}.")
    return found
