"""Reading runs. What callers may see is decided here: a run of a project that isn't theirs does not exist."""

import uuid
from collections.abc import Collection, Sequence
from functools import cache, lru_cache
from typing import NamedTuple, cast

from django.db import connection
from django.db.models import Max, OuterRef, QuerySet, Subquery

from flowforge.api.caller import Caller
from flowforge.api.pagination import (
    NEWEST_FIRST,
    Page,
    PageParams,
    first_page_of,
    page_of,
    page_of_merged,
    slice_of,
)
from flowforge.core import ids, json
from flowforge.core.errors import NotFound
from flowforge.events.schemas import STEP_LOG
from flowforge.kernel.definition import Definition
from flowforge.projects.models import Project
from flowforge.projects.scoping import ScopedQuerySet
from runs import present
from runs.constants import LOG_TAIL, MAX_INLINE_STEPS, MAX_MERGED_PROJECTS, NO_ITEM
from runs.models import Run, RunEvent, StepRun
from runs.present import EventRow, Key, LogRow, Place, RunRow, Shown, StepRow
from runs.raw import ByKey, raw
from runs.waits import begun_step
from workflows.models import Workflow, WorkflowVersion
from workflows.selectors import definition_of

# --- runs ---------------------------------------------------------------------------------------------------------


def visible_runs(caller: Caller) -> QuerySet[Run, RunRow]:
    """The runs that a caller may read, to be filtered."""
    return cast("QuerySet[Run, RunRow]", _all_runs().visible_to(caller, "runs:read"))


@cache
def _all_runs() -> ScopedQuerySet[Run]:
    """Resolving so many columns takes longer than reading some rows: it is done once."""
    return cast(ScopedQuerySet[Run], raw(named_runs(), RunRow))


def named_runs() -> QuerySet[Run]:
    """All runs, with `workflow_name`. A subquery, as a join would let a planner begin with the workflows and sort."""
    name = Workflow.objects.filter(id=OuterRef("workflow_id")).order_by().values("name")
    return Run.objects.annotate(workflow_name=Subquery(name[:1]))


def page_of_runs(runs: QuerySet[Run, RunRow], params: PageParams, projects: Collection[uuid.UUID] = ()) -> Page:
    """A page of runs as lists show them, newest first: one query.

    `projects`: where they are spread over several, one query each, as no index has the runs of several in order.
    """
    if 1 < len(projects) <= MAX_MERGED_PROJECTS and params.page is None:
        found = page_of_merged([runs.filter(project_id=project) for project in projects], params)
    else:
        found = page_of(runs, params)
    return Page(rows=[present.run(row) for row in found.rows], meta=found.meta)


def newest_runs(caller: Caller, params: PageParams) -> Page:
    """The first page of all that a caller may read. Nothing is asked for as often: its statement is compiled once."""
    projects = [project for project in caller.project_ids if caller.can("runs:read", project)]
    if len(projects) > MAX_MERGED_PROJECTS:
        return page_of_runs(visible_runs(caller), params)
    found = first_page_of([_newest(params.limit + 1).rows(project) for project in projects], params)
    return Page(rows=[present.run(row) for row in found.rows], meta=found.meta)


def get_run(caller: Caller, run_id: uuid.UUID, scope: str = "runs:read") -> RunRow:
    """Raises NotFound (404) where the caller cannot see it, PermissionMissing (403) where the scope is missing."""
    row = read_run(run_id)
    if row is None or present.uuid_of(row.project_id) not in caller.grants:
        raise NotFound
    caller.require(scope, present.uuid_of(row.project_id))
    return row


def read_run(run_id: uuid.UUID) -> RunRow | None:
    """Any run, whoever asks: for services and for those who have checked already."""
    rows = _RUN.rows(run_id)
    return rows[0] if rows else None


def live_runs(workflow_id: uuid.UUID) -> QuerySet[Run]:
    """The runs of a workflow that have not ended: what the index `run_live` holds."""
    return Run.objects.filter(workflow_id=workflow_id, finished_at__isnull=True).order_by()


def show_run(row: RunRow, *, with_steps: bool = True) -> Shown:
    """A run in full: two more queries with its steps. One of very many steps leaves them to `page_of_steps`.

    Items of maps are left out where there are very many steps altogether.
    """
    shown = present.run(row)
    if with_steps and row.steps_total <= MAX_INLINE_STEPS:
        places = step_places(row)
        if len(places) > MAX_INLINE_STEPS:
            places = _nodes(row)
        with_items = len(places) > row.steps_total
        begun = (_STEPS_AND_ITEMS if with_items else _STEPS).rows(present.uuid_of(row.id))
        shown["steps"] = present.steps(row, places, begun, _log_tails(begun))
    return shown


def show_new_run(run: Run) -> Shown:
    """A run that was just stored, in full, without a query: none of its steps has begun."""
    row = present.row_of(run)
    shown = present.run(row)
    if row.steps_total <= MAX_INLINE_STEPS:
        shown["steps"] = present.steps(row, _nodes(row), [], [])
    return shown


def definition_of_run(row: RunRow) -> Definition:
    """What the run runs: its version never changes under it."""
    return definition_of(present.uuid_of(row.version_id))


class _WorkflowRow(NamedTuple):
    """What starting a run has to know of a workflow."""

    id: Key
    project_id: Key
    name: str
    status: str
    version: int
    project__status: str
    project__settings: str


def workflow_to_run(caller: Caller, workflow_id: uuid.UUID) -> Workflow:
    """A workflow with its project, for services that start runs; what they don't need is deferred.

    Raises NotFound (404) where the caller cannot see it, PermissionMissing (403) where the scope is missing.
    """
    rows = _WORKFLOW.rows(workflow_id)
    if not rows or present.uuid_of(rows[0].project_id) not in caller.grants:
        raise NotFound
    row, project_id = rows[0], present.uuid_of(rows[0].project_id)
    caller.require("runs:write", project_id)
    found = Workflow.from_db(
        None, ["id", "project_id", "name", "status", "version"], [workflow_id, project_id, *row[2:5]]
    )
    found.project = Project.from_db(
        None, ["id", "status", "settings"], [project_id, row.project__status, json.loads_trusted(row.project__settings)]
    )
    return found


@lru_cache(maxsize=10_000)
def version_id_of(workflow_id: uuid.UUID, number: int) -> uuid.UUID:
    """The id of a workflow's version; versions are never changed, so it is read once. Raises NotFound."""
    found = WorkflowVersion.objects.filter(workflow_id=workflow_id, version=number).values_list("id", flat=True)
    for version_id in found:
        return version_id
    raise NotFound(detail=f"The workflow has no version {number}.")


# --- steps and their logs -----------------------------------------------------------------------------------------


def step_places(row: RunRow) -> Sequence[Place]:
    """All steps of a run in the definition's order, those that have not begun too; a map's items follow it.

    One look into the index `step_once` for each map.
    """
    definition, run_id = definition_of_run(row), present.uuid_of(row.id)
    if not definition.maps:
        return _nodes(row)
    places: list[Place] = []
    for node in definition.nodes:
        places.append((node, NO_ITEM))
        if node.each is not None:
            places.extend((node.each.step, index) for index in range(_items_begun(run_id, node.id)))
    return places


def page_of_steps(row: RunRow, params: PageParams) -> Page:
    """A page of `step_places`."""
    places = slice_of(step_places(row), params)
    return Page(rows=_show_places(row, places.rows), meta=places.meta)


def page_of_logs(row: RunRow, step_id: uuid.UUID, params: PageParams) -> Page:
    """A page of a step's log, oldest line first. Raises NotFound if the run has no such step."""
    begun_step(row, step_id)
    lines = RunEvent.objects.filter(step_id=step_id, event=STEP_LOG)
    found = page_of(raw(lines, LogRow), params, key=("seq",), ascending=True)
    return Page(rows=[present.log(line) for line in found.rows], meta=found.meta)


def _nodes(row: RunRow) -> list[Place]:
    """The steps of a run without items."""
    return [(node, NO_ITEM) for node in definition_of_run(row).nodes]


def _items_begun(run_id: uuid.UUID, node_id: str) -> int:
    """Items of a map begin in their order."""
    steps = StepRun.objects.filter(run_id=run_id, node_id=node_id)
    newest: int | None = steps.aggregate(newest=Max("index"))["newest"]
    return 0 if newest is None else newest + 1


def _show_places(row: RunRow, places: Sequence[Place]) -> list[Shown]:
    run_id = present.uuid_of(row.id)
    step_ids = [ids.step_id(run_id, node.id, None if index == NO_ITEM else index) for node, index in places]
    begun = list(raw(StepRun.objects.filter(id__in=step_ids).order_by(), StepRow))
    return present.steps(row, places, begun, _log_tails(begun))


def _log_tails(steps: Sequence[StepRow]) -> list[LogRow]:
    """The newest lines of each step's log, oldest first: one query.

    Each step costs one look into the index `event_step_log`, however long its log is. The ORM has no lateral join.
    """
    if not steps:
        return []
    places = ", ".join(["%s"] * len(steps))
    with connection.cursor() as cursor:
        cursor.execute(_LOG_TAILS.format(places=places), [step.id for step in steps])
        return [LogRow(*line) for line in cursor.fetchall()]


_LOG_TAILS = f"""
    SELECT line.step_id, line.seq, line.at, line.data
    FROM {StepRun._meta.db_table} AS step
    JOIN {RunEvent._meta.db_table} AS line
      ON line.step_id = step.id AND line.event = '{STEP_LOG}' AND line.seq >= COALESCE((
        SELECT tail.seq FROM {RunEvent._meta.db_table} AS tail
        WHERE tail.step_id = step.id AND tail.event = '{STEP_LOG}'
        ORDER BY tail.seq DESC LIMIT 1 OFFSET {LOG_TAIL - 1}), 0)
    WHERE step.id IN ({{places}})
    ORDER BY line.seq
"""  # noqa: S608  made of constants


# --- history ------------------------------------------------------------------------------------------------------


def page_of_events(row: RunRow, after: int, params: PageParams) -> Page:
    """A page of what has happened to a run since its event `after` (0: all of it), in order."""
    events = RunEvent.objects.filter(run_id=present.uuid_of(row.id), seq__gt=after)
    found = page_of(raw(events, EventRow), params, key=("seq",), ascending=True)
    return Page(rows=[present.event(event) for event in found.rows], meta=found.meta)


def newest_transitions(run_id: uuid.UUID, *, newest: int, window: int) -> list[Shown]:
    """What happened, oldest first, without the lines of logs, as far as it is among the `window` newest events.

    `newest` is the run's `event_seq`. However long the run and its logs, no more than `window` rows are looked at.
    """
    events = RunEvent.objects.filter(run_id=run_id, seq__gt=newest - window).exclude(event=STEP_LOG).order_by("seq")
    return [present.event(event) for event in raw(events, EventRow)]


# --- compiled once ------------------------------------------------------------------------------------------------


@cache
def _newest(count: int) -> ByKey[RunRow]:
    """So many runs of a project."""
    newest_first = named_runs().order_by(*(f"-{name}" for name in NEWEST_FIRST))
    return ByKey(RunRow, lambda project_id: newest_first.filter(project_id=project_id)[:count])


_RUN = ByKey(RunRow, lambda run_id: named_runs().filter(id=run_id).order_by())
_WORKFLOW = ByKey(_WorkflowRow, lambda workflow_id: Workflow.objects.filter(id=workflow_id).order_by())
_STEPS = ByKey(StepRow, lambda run_id: StepRun.objects.filter(run_id=run_id, index=NO_ITEM).order_by())
_STEPS_AND_ITEMS = ByKey(StepRow, lambda run_id: StepRun.objects.filter(run_id=run_id).order_by())
