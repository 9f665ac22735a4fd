"""Starting runs. Accepted means durable: when these functions return, the runs and their first events are stored."""

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from django.db import transaction

from flowforge.core import bell, clock
from flowforge.core.errors import Conflict, FlowForgeError, InvalidBody
from flowforge.core.failpoints import failpoint
from flowforge.core.json import Json
from flowforge.events.schemas import RUN_CREATED
from flowforge.kernel.definition import Definition
from flowforge.projects.selectors import require_active
from flowforge.telemetry import trace
from flowforge.telemetry.trace import Trace
from runs import gates
from runs.constants import RING_BEFORE
from runs.models import Run, RunEvent
from runs.raw import insert_rows
from runs.selectors import version_id_of
from runs.services import conflicts, debounce
from runs.services.dedupe import claim_keys, hand_over_key
from runs.services.inputs import complete_inputs
from runs.telling import tell_of
from workflows.models import Workflow
from workflows.selectors import definition_of


@dataclass(frozen=True, kw_only=True, slots=True)
class Trigger:
    """What made a run begin."""

    type: str = "api"  # `api, schedule, webhook, event, workflow, replay` …
    id: str | None = None  # of the schedule, webhook, event … ; None: a call


@dataclass(frozen=True, kw_only=True, slots=True)
class StartItem:
    """What is asked of one run."""

    inputs: Mapping[str, Json] = field(default_factory=dict)
    metadata: Mapping[str, Json] = field(default_factory=dict)
    priority: int | None = None  # None: the definition's own; higher first
    run_at: datetime | None = None  # not before this moment
    dedupe_key: str | None = None
    start_key: str | None = None  # unique among all runs, for ever: who starts it has looked whether it is taken


@dataclass(frozen=True, kw_only=True, slots=True)
class Origin:
    """What all runs of one call have in common."""

    actor: str  # `key:<id>`, `user:<id>` … as in Caller.actor
    trigger: Trigger = Trigger()
    traceparent: str = ""  # W3C; empty or invalid: the current trace, outside of any a new one
    parent_run_id: uuid.UUID | None = None
    replay_of_id: uuid.UUID | None = None
    depth: int = 0  # of the runs: one more than the parent's
    awaited: bool = False  # a step of the parent waits for them

    @property
    def joins(self) -> bool:
        """Whether `debounce` concerns them: what a run has asked for, or a replay, is a run of its own."""
        return self.parent_run_id is None and self.replay_of_id is None


@dataclass(frozen=True, kw_only=True, slots=True)
class Started:
    """The answer to one item."""

    run: Run
    created: bool  # False: the dedupe key had this run already
    joined: bool = False  # by `debounce`: it is what others have asked for, too


@dataclass(frozen=True, kw_only=True, slots=True)
class _Plan:
    """What all runs of one call are made from."""

    workflow: Workflow
    number: int  # of the version
    version_id: uuid.UUID
    definition: Definition
    origin: Origin
    trace: Trace
    now: datetime


def start_run(
    *,
    workflow: Workflow,
    inputs: Mapping[str, Json],
    caller_actor: str,
    trigger: Trigger = Trigger(),
    metadata: Mapping[str, Json] | None = None,
    priority: int | None = None,
    run_at: datetime | None = None,
    dedupe_key: str | None = None,
    traceparent: str = "",
    version: int | None = None,
    parent_run: Run | None = None,
    replay_of: Run | None = None,
) -> Started:
    """Store a run of a workflow (loaded with its project) and ring for the engine once it is committed.

    Raises Conflict if the workflow or its project takes no runs, InvalidBody if the inputs don't fit, NotFound for
    a `version` that is not there. Statements: BEGIN, two INSERTs, COMMIT; a dedupe key costs two more.
    """
    item = StartItem(inputs=inputs, metadata=metadata or {}, priority=priority, run_at=run_at, dedupe_key=dedupe_key)
    origin = Origin(
        actor=caller_actor,
        trigger=trigger,
        traceparent=traceparent,
        parent_run_id=parent_run.id if parent_run else None,
        replay_of_id=replay_of.id if replay_of else None,
    )
    [answer] = start_runs(workflow=workflow, items=[item], origin=origin, version=version)
    if isinstance(answer, FlowForgeError):
        raise answer
    return answer


def start_runs(
    *, workflow: Workflow, items: Sequence[StartItem], origin: Origin, version: int | None = None
) -> list[Started | FlowForgeError]:
    """Store many runs of one workflow in one transaction; an answer per item, in their order.

    An item that is wrong in itself gets its error and hinders no other. Raises what concerns them all: Conflict if
    the workflow or its project takes no runs, NotFound for a `version` that is not there.
    """
    _require_startable(workflow)
    plan = _plan(workflow, version, origin)
    drafts = [_draft(plan, item) for item in items]
    with transaction.atomic():
        holders = _claim(plan, items, drafts)
        new = [run for run in drafts if isinstance(run, Run) and holders.get(run.id, run.id) == run.id]
        drafts, new = _without_conflicts(plan, drafts, new)
        joined = _join(plan, items, drafts, new)
        new = [run for run in new if joined.get(run.id, run.id) == run.id]
        gates.line_up(new)
        events = [_created_event(run) for run in new]
        insert_rows(new, events)
        tell_of(workflow.project_id, new, events)
        transaction.on_commit(_accepted)
        bell.drive(*(run.id for run in new if run.wake_at is not None and run.wake_at <= plan.now + RING_BEFORE))
        failpoint("accept.before_commit")
        return _answers(drafts, holders, joined, new)


def _accepted() -> None:
    failpoint("accept.after_commit")


def _require_startable(workflow: Workflow) -> None:
    require_active(workflow.project)
    if workflow.status != Workflow.Status.ACTIVE:
        raise Conflict(detail=f"The workflow is {workflow.status}: it takes no new runs.")


def _plan(workflow: Workflow, version: int | None, origin: Origin) -> _Plan:
    number = workflow.version if version is None else version
    version_id = version_id_of(workflow.id, number)
    return _Plan(
        workflow=workflow,
        number=number,
        version_id=version_id,
        definition=definition_of(version_id),
        origin=origin,
        trace=trace.parse(origin.traceparent) or trace.current_or_new(),
        now=clock.now(),
    )


def _draft(plan: _Plan, item: StartItem) -> Run | FlowForgeError:
    """The run that an item asks for, not stored yet, or what is wrong with the item."""
    try:
        inputs = complete_inputs(version_id=plan.version_id, given=dict(item.inputs))
    except InvalidBody as error:
        return error
    run = Run(
        project_id=plan.workflow.project_id,
        workflow=plan.workflow,
        version_id=plan.version_id,
        workflow_version=plan.number,
        steps_total=len(plan.definition.nodes),
        inputs=inputs,
        metadata=dict(item.metadata),
        trigger_type=plan.origin.trigger.type,
        trigger_id=plan.origin.trigger.id,
        parent_run_id=plan.origin.parent_run_id,
        replay_of_id=plan.origin.replay_of_id,
        depth=plan.origin.depth,
        awaited=plan.origin.awaited,
        start_key=item.start_key,
        trace_id=plan.trace.trace_id,
        traceparent=plan.trace.traceparent,
        created_by=plan.origin.actor,
        created_at=plan.now,
        run_at=item.run_at,
        priority=plan.definition.config.priority if item.priority is None else item.priority,
        wake_at=item.run_at or plan.now,
        event_seq=1,
    )
    try:
        gates.mark(run, plan.definition, plan.workflow.project, joins=plan.origin.joins)
    except InvalidBody as error:
        return error
    return run


def _claim(
    plan: _Plan, items: Sequence[StartItem], drafts: Sequence[Run | FlowForgeError]
) -> dict[uuid.UUID, uuid.UUID]:
    """Draft's id -> id of the run that has its dedupe key; drafts without a key are absent."""
    keys = {
        draft.id: item.dedupe_key
        for item, draft in zip(items, drafts, strict=True)
        if isinstance(draft, Run) and item.dedupe_key is not None
    }
    if not keys:
        return {}
    wanted: dict[str, uuid.UUID] = {}
    for run_id, key in keys.items():
        wanted.setdefault(key, run_id)  # of two items with one key, the first gets it
    held = claim_keys(workflow_id=plan.workflow.id, wanted=wanted, now=plan.now)
    return {run_id: held[key] for run_id, key in keys.items()}


def _without_conflicts(
    plan: _Plan, drafts: list[Run | FlowForgeError], new: list[Run]
) -> tuple[list[Run | FlowForgeError], list[Run]]:
    """The same without the runs for which their concurrency key has no place, if such are to be refused."""
    rule = plan.definition.config.concurrency
    if rule is None or rule.on_conflict != "reject":
        return drafts, new
    refused = conflicts.refused(plan.workflow.id, rule, new, plan.now)
    answers = [
        conflicts.conflict(refused[draft.id]) if isinstance(draft, Run) and draft.id in refused else draft
        for draft in drafts
    ]
    return answers, [run for run in new if run.id not in refused]


def _join(
    plan: _Plan, items: Sequence[StartItem], drafts: Sequence[Run | FlowForgeError], new: Sequence[Run]
) -> dict[uuid.UUID, uuid.UUID]:
    """Draft's id -> id of the run that it becomes one with; drafts that `debounce` does not concern are absent."""
    debounced = [run for run in new if run.debounce_key is not None]
    if not debounced:
        return {}
    joined = debounce.coalesce(workflow_id=plan.workflow.id, runs=debounced, now=plan.now)
    for item, draft in zip(items, drafts, strict=True):
        if item.dedupe_key is not None and isinstance(draft, Run) and draft.id in joined:
            hand_over_key(plan.workflow.id, item.dedupe_key, draft.id, joined[draft.id])
    return joined


def _created_event(run: Run) -> RunEvent:
    data = {"status": run.status, "trigger": {"type": run.trigger_type, "id": run.trigger_id}}
    return RunEvent(run_id=run.id, seq=1, at=run.created_at, event=RUN_CREATED, data=data)


def _answers(
    drafts: Sequence[Run | FlowForgeError],
    holders: Mapping[uuid.UUID, uuid.UUID],
    joined: Mapping[uuid.UUID, uuid.UUID],
    new: Sequence[Run],
) -> list[Started | FlowForgeError]:
    """What each item is told; runs that a dedupe key had before, or that were joined, are read, in one query."""
    known = {run.id: run for run in new}
    asked = [draft for draft in drafts if isinstance(draft, Run)]
    final = {draft.id: joined.get(held := holders.get(draft.id, draft.id), held) for draft in asked}
    missing = set(final.values()) - known.keys()
    if missing:
        known |= Run.objects.select_related("workflow").in_bulk(missing)
    return [
        draft
        if isinstance(draft, FlowForgeError)
        else Started(run=known[final[draft.id]], created=final[draft.id] == draft.id, joined=draft.id in joined)
        for draft in drafts
    ]
