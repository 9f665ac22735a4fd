"""Numbers and words of schedules that clients may rely on (docs/schedules.md)."""

from datetime import timedelta
from typing import Final

KINDS: Final = ("cron", "interval", "once")
STATUSES: Final = ("active", "paused", "quarantined", "finished")  # made of the row's fields, not stored

TRIGGER: Final = "schedule"  # of its runs and decisions
TICK: Final = "schedules.tick"  # the Celery message that says "look at this schedule"

MAX_NAME_LENGTH: Final = 200
MAX_DURATION_LENGTH: Final = 64
MAX_WINDOW: Final = timedelta(days=31)  # of catching up
MAX_JITTER: Final = timedelta(hours=1)
MIN_EVERY: Final = timedelta(seconds=1)
DEFAULT_WINDOW: Final = "1d"

MAX_ERRORS: Final = 3  # in a row: then a schedule is put aside until a person resumes it
ERROR_BACKOFF: Final = timedelta(seconds=10)  # a schedule that failed is looked at again after so long

MAX_PREVIEW: Final = 100
MAX_SIMULATED: Final = 1000  # due times that one answer holds
MAX_SIMULATED_SPAN: Final = timedelta(days=366)
MAX_DOWNTIMES: Final = 20  # of one simulation
MAX_BACKFILL: Final = 1000  # due times of one backfill
MAX_LIVE_BACKFILLS: Final = 5  # of one schedule
BACKFILL_AT_ONCE: Final = 5  # runs of one backfill that live at a time, where overlap is allowed; otherwise one
