"""Reading steps that wait for someone outside."""

import uuid
from collections import defaultdict
from collections.abc import Iterable
from datetime import datetime
from typing import Any

from django.db.models import F, Q, QuerySet

from flowforge.api.caller import Caller
from flowforge.api.pagination import Page, PageParams, page_of
from flowforge.core import clock, ids
from flowforge.core.clock import isoformat
from flowforge.core.errors import NotFound
from flowforge.core.json import Json
from flowforge.projects.selectors import roles_of
from flowforge.steps import approval
from runs.lookups import IS_WAITING, IsFor
from runs.models import StepRun
from runs.present import RunRow, uuid_of
from workflows.selectors import definition_of

OLDEST_FIRST = ("started_at", "id")
_SHOWN = ("id", "run_id", "node_id", "started_at", "available_at", "then")
_OF_RUN = ("run__project_id", "run__workflow_id", "run__workflow__name", "run__version_id")


def waiting_steps(waits_for: str) -> QuerySet[StepRun]:
    """The steps that wait for this and that nobody has ended: what the index `step_waiting` holds."""
    return StepRun.objects.filter(IS_WAITING, waits_for=waits_for, resolution__isnull=True)


def begun_step(run: RunRow, step_id: uuid.UUID) -> StepRun | None:
    """A step of a run; None if it has not begun: it has its id all the same. Raises NotFound for any other id."""
    run_id = uuid_of(run.id)
    step = StepRun.objects.filter(id=step_id, run_id=run_id).first()
    nodes = definition_of(uuid_of(run.version_id)).nodes
    if step is None and all(ids.step_id(run_id, node.id) != step_id for node in nodes):
        raise NotFound
    return step


def open_approvals(caller: Caller, scope: str) -> QuerySet[StepRun]:
    """The approvals that a caller may decide now: for everybody, or for the person or its role in the project."""
    projects = [project for project in caller.project_ids if caller.can(scope, project)]
    in_time = Q(available_at__isnull=True) | Q(available_at__gt=clock.now())
    live = Q(run__finished_at__isnull=True, run__cancel_requested_at__isnull=True)
    others = ~Q(run__created_by=caller.actor) | Q(**{f"then__asks__{approval.FOUR_EYES}__isnull": True})
    return waiting_steps(approval.WAITS_FOR).filter(in_time, live, others, _assigned(caller, projects))


def page_of_approvals(approvals: QuerySet[StepRun], params: PageParams) -> Page:
    """A page of approvals, newest first."""
    found = page_of(approvals.values(*_SHOWN, *_OF_RUN), params, key=OLDEST_FIRST)
    return Page(rows=[_shown(row) for row in found.rows], meta=found.meta)


def _assigned(caller: Caller, projects: Iterable[uuid.UUID]) -> Q:
    """One condition a role, however many projects."""
    roles = roles_of(caller.user_id) if caller.user_id is not None else {}
    by_role: dict[str | None, list[uuid.UUID]] = defaultdict(list)
    for project in projects:
        by_role[roles.get(project)].append(project)
    found = Q(pk__in=[])
    for role, of_role in by_role.items():
        names = [name for name in (caller.name, role) if name and caller.user_id is not None]
        found |= Q(IsFor(F("then"), *names), run__project_id__in=of_role)
    return found


def _shown(row: dict[str, Any]) -> dict[str, Json]:
    """An approval as clients see it."""
    node = definition_of(row["run__version_id"]).by_id[row["node_id"]]
    asks: dict[str, Json] = (row["then"] or {}).get("asks", {})
    until: datetime | None = row["available_at"]
    return {
        "id": row["id"],
        "step_id": row["id"],
        "run_id": row["run_id"],
        "node_id": node.id,
        "project_id": row["run__project_id"],
        "workflow_id": row["run__workflow_id"],
        "workflow_name": row["run__workflow__name"],
        "title": asks.get("title") or node.name or node.id,
        "instructions": asks.get("instructions"),
        "form": asks.get("form"),
        "assignees": asks.get("assignees", []),
        "requested_at": isoformat(row["started_at"]),
        "expires_at": isoformat(until),
    }
