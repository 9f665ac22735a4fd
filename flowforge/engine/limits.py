"""A project's limits with who occupies them: counted from live rows at this moment, as those who decide count them."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from django.conf import settings

from flowforge.api import rates, throttling
from flowforge.engine import admission
from flowforge.engine.store import admission as store
from flowforge.engine.store import holds, occupancy
from flowforge.kernel import pacing
from flowforge.kernel.definition import RateLimit
from flowforge.kernel.durations import RATE_UNITS
from flowforge.operating.constants import ENGINE_ID, THAWING
from flowforge.operating.selectors import holds_of
from flowforge.projects.models import Project
from flowforge.projects.project_settings import RATE_BUCKETS
from flowforge.workers import selectors as workers
from runs.gates import Gate

SHOWN: Final = 20  # holders of each limit
MAX_KEYS: Final = 100  # keys, paces and runs of each kind


@dataclass(frozen=True, slots=True, kw_only=True)
class Holder:
    type: str
    id: str
    since: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    kind: str
    scope: tuple[str, str | None]  # (type, id) of where it is set
    limit: str | None  # a number or a rate; None: none is set
    occupied: int
    key: str | None = None
    waiting: int = 0
    holders: Sequence[Holder] = ()
    free_at: datetime | None = None


def limits_of_project(project: Project, now: datetime) -> list[Limit]:
    """All of them. Each kind has a bound; what is occupied most comes first."""
    return [
        _project_runs(project),
        *_keys(project),
        *_paces(project, now),
        *_run_steps(project, now),
        *_api_calls(project, now),
        *_thaws(project),
        *_queues(now),
    ]


def _project_runs(project: Project) -> Limit:
    gate = Gate(kind="project", owner=project.pk)
    limit = project.settings.get("max_concurrent_runs")
    return Limit(
        kind="project_runs",
        scope=("project", str(project.pk)),
        limit=None if limit is None else str(limit),
        occupied=store.count_holders(gate),
        waiting=occupancy.queue_length(gate.id),
        holders=_runs(gate),
    )


def _keys(project: Project) -> Iterator[Limit]:
    """Concurrency keys that runs hold."""
    for workflow_id, key, occupied in occupancy.keys_in_use(project.pk, MAX_KEYS):
        gate = Gate(kind="key", owner=workflow_id, key=key)
        places = admission.limits_of(workflow_id).places_of_key
        yield Limit(
            kind="concurrency_key",
            scope=("workflow", str(workflow_id)),
            key=key,
            limit=None if places is None else str(places),
            occupied=occupied,
            waiting=occupancy.queue_length(gate.id),
            holders=_runs(gate),
        )


def _paces(project: Project, now: datetime) -> Iterator[Limit]:
    """Rates of workflows that are used up in part."""
    for workflow_id, key, arrives_at in occupancy.paces_in_use(project.pk, now, MAX_KEYS):
        rate = admission.limits_of(workflow_id).rate
        if rate is not None:
            free = pacing.free(rate, arrives_at, now)
            yield Limit(
                kind="rate_limit",
                scope=("workflow", str(workflow_id)),
                key=key,
                limit=_written(rate),
                occupied=rate.limit - free,
                waiting=occupancy.queue_length(Gate(kind="rate", owner=workflow_id, key=key).id),
                free_at=None if free else pacing.opens_at(rate, arrives_at, now),
            )


def _run_steps(project: Project, now: datetime) -> Iterator[Limit]:
    """`max_concurrency` of the runs that have most steps running."""
    for found in occupancy.busiest_runs(project.pk, now, MAX_KEYS):
        limit = occupancy.max_concurrency(found.version_id)
        steps = occupancy.running_steps(found.run_id, now, SHOWN)
        yield Limit(
            kind="run_steps",
            scope=("run", str(found.run_id)),
            limit=str(limit),
            occupied=found.running,
            waiting=found.ready,
            holders=[Holder(type="step", id=str(step_id), since=since) for step_id, since in steps],
        )


def _api_calls(project: Project, now: datetime) -> Iterator[Limit]:
    overrides: Mapping[str, str] = project.settings.get("rate_limits") or {}
    for bucket in RATE_BUCKETS:
        written = overrides.get(bucket) or settings.RATE_LIMITS[bucket]
        count, ends_at = throttling.window_of(bucket, project.pk)
        used_up = count >= rates.parse(written).limit
        yield Limit(
            kind="api_calls",
            scope=("project", str(project.pk)),
            key=bucket,
            limit=written,
            occupied=count,
            free_at=datetime.fromtimestamp(ends_at, UTC) if used_up and ends_at > now.timestamp() else None,
        )


def _thaws(project: Project) -> Iterator[Limit]:
    """The pace at which what was frozen begins."""
    scopes = [ENGINE_ID, project.pk, *occupancy.frozen_workflows(project.pk)]
    waiting = None
    for hold in holds_of(scopes).values():
        if hold.status == THAWING:
            waiting = holds.count_held(project.pk) if waiting is None else waiting
            yield Limit(
                kind="thaw",
                scope=(hold.scope, str(hold.scope_id)),
                limit=hold.rate,
                occupied=0,
                waiting=waiting,
                free_at=hold.paced_to,
            )


def _queues(now: datetime) -> Iterator[Limit]:
    """The places of the workers, which all projects share."""
    fleet = workers.live_workers(now)
    busy = workers.busy_by_queue(fleet)
    for queue, slots in sorted(workers.slots_by_queue(fleet).items()):
        yield Limit(
            kind="queue", scope=("engine", None), key=queue, limit=str(slots), occupied=min(busy.get(queue, 0), slots)
        )


def _runs(gate: Gate) -> list[Holder]:
    return [Holder(type="run", id=str(row.id), since=row.since) for row in store.holders(gate, SHOWN)]


def _written(rate: RateLimit) -> str:
    unit = next((name for name, seconds in RATE_UNITS.items() if seconds == rate.seconds), f"{rate.seconds:g}s")
    return f"{rate.limit}/{unit}"
