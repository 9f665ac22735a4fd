"""What an alert measures: each metric a function of the runs of its window, in one or two bounded queries.

docs/alerts.md tells people the same. None is "nothing to judge": the alert does not fire.
"""

import math
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any, Final

from django.db.models import Count, Min, Q, QuerySet

from flowforge.alerts import constants
from flowforge.alerts.models import Alert
from flowforge.kernel import durations
from runs.models import Run

Measure = Callable[["QuerySet[Run]", datetime, datetime], float | None]
"""(the project's or workflow's runs, begin of the window, now) -> the value; durations in seconds."""


def measure(alert: Alert, now: datetime) -> float | None:
    """The alert's metric at this moment."""
    runs = Run.objects.filter(project_id=alert.project_id)
    if alert.workflow_id is not None:
        runs = Run.objects.filter(workflow_id=alert.workflow_id)
    since = now - timedelta(seconds=durations.parse(alert.window))
    return _MEASURES[alert.metric](runs.order_by(), since, now)


def fires(alert: Alert, value: float | None) -> bool:
    """Whether that value is what the alert is about. `no_run` fires with 0 runs, whatever its operator."""
    if value is None:
        return False
    if alert.metric == constants.NO_RUN:
        return value == 0
    return constants.OPERATORS[alert.operator](value, alert.threshold)


def _failure_rate(runs: "QuerySet[Run]", since: datetime, now: datetime) -> float | None:
    found = _ended(runs, since, now).aggregate(total=Count("id"), failed=Count("id", filter=Q(status="failed")))
    return found["failed"] / found["total"] if found["total"] else None


def _consecutive_failures(runs: "QuerySet[Run]", since: datetime, now: datetime) -> float | None:
    statuses = list(_ended(runs, since, now).values_list("status", flat=True))
    if not statuses:
        return None
    return float(next((index for index, status in enumerate(statuses) if status != "failed"), len(statuses)))


def _duration_p95(runs: "QuerySet[Run]", since: datetime, now: datetime) -> float | None:
    """Nearest rank: the smallest duration that 95 of 100 runs did not exceed."""
    found = sorted(_durations(runs, since, now))
    return found[math.ceil(0.95 * len(found)) - 1] if found else None


def _run_duration(runs: "QuerySet[Run]", since: datetime, now: datetime) -> float | None:
    begun = runs.filter(finished_at=None, started_at__isnull=False).aggregate(first=Min("started_at"))["first"]
    living = [] if begun is None else [_seconds(begun, now)]
    return max([*living, *_durations(runs, since, now)], default=None)


def _queue_time(runs: "QuerySet[Run]", since: datetime, now: datetime) -> float | None:
    """A run that is to begin later (`run_at`) waits from then on."""
    columns = ("created_at", "run_at", "started_at")
    living = runs.filter(finished_at=None).order_by("id").values_list(*columns)[: constants.MAX_RUNS]
    ended = _ended(runs, since, now).values_list(*columns)
    waited = [
        _seconds(max(created, run_at or created), started or now)
        for created, run_at, started in (*living, *ended)
        if started is None or started > since
    ]
    return max((seconds for seconds in waited if seconds >= 0), default=None)


def _run_count(runs: "QuerySet[Run]", since: datetime, now: datetime) -> float | None:
    """1 where there is any: nobody needs to count them."""
    return float(runs.filter(created_at__gt=since, created_at__lte=now).exists())


def _ended(runs: "QuerySet[Run]", since: datetime, now: datetime) -> "QuerySet[Run]":
    """What has completed or failed in the window, the newest first; what was cancelled says nothing."""
    ended = runs.filter(finished_at__gt=since, finished_at__lte=now, status__in=("completed", "failed"))
    return ended.order_by("-finished_at", "-id")[: constants.MAX_RUNS]


def _durations(runs: "QuerySet[Run]", since: datetime, now: datetime) -> Iterator[float]:
    rows: Any = _ended(runs, since, now).values_list("started_at", "finished_at")
    return (_seconds(started, finished) for started, finished in rows if started is not None)


def _seconds(begin: datetime, end: datetime) -> float:
    return (end - begin).total_seconds()


_MEASURES: Final[Mapping[str, Measure]] = {
    constants.FAILURE_RATE: _failure_rate,
    constants.CONSECUTIVE_FAILURES: _consecutive_failures,
    constants.DURATION_P95: _duration_p95,
    constants.RUN_DURATION: _run_duration,
    constants.QUEUE_TIME: _queue_time,
    constants.NO_RUN: _run_count,
}
