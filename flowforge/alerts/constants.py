"""The words of an alert; docs/alerts.md says what each metric counts."""

import operator
from collections.abc import Callable, Mapping
from datetime import timedelta
from types import MappingProxyType
from typing import Final

FAILURE_RATE, CONSECUTIVE_FAILURES, DURATION_P95 = "failure_rate", "consecutive_failures", "duration_p95"
RUN_DURATION, QUEUE_TIME, NO_RUN = "run_duration", "queue_time", "no_run"
METRICS: Final = (FAILURE_RATE, CONSECUTIVE_FAILURES, DURATION_P95, RUN_DURATION, QUEUE_TIME, NO_RUN)
DURATIONS: Final = frozenset({DURATION_P95, RUN_DURATION, QUEUE_TIME})  # their thresholds are durations

OPERATORS: Final[Mapping[str, Callable[[float, float], bool]]] = MappingProxyType(
    {"gt": operator.gt, "gte": operator.ge, "lt": operator.lt, "lte": operator.le}
)
SEVERITIES: Final = ("info", "warning", "critical")
OK, FIRING = "ok", "firing"
STATES: Final = (OK, FIRING)

MAX_NAME_LENGTH: Final = 200
DEFAULT_WINDOW: Final = "1h"
MIN_WINDOW: Final = timedelta(seconds=1)
MAX_WINDOW: Final = timedelta(days=31)
MAX_RUNS: Final = 10_000  # that one look at an alert reads: the newest of its window
