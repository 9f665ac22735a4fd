"""From a schedule's row to the values that the kernel reckons with. Raises ValueError for a row that is corrupted."""

from datetime import timedelta

from flowforge.kernel import durations
from flowforge.kernel.schedules import Cron, Interval, Once, Policy, Recurrence
from flowforge.kernel.schedules.recurrence import Pattern
from flowforge.schedules.constants import MIN_EVERY
from flowforge.schedules.models import Schedule


def recurrence_of(schedule: Schedule) -> Recurrence:
    """When it is due."""
    return Recurrence(
        pattern=_pattern_of(schedule),
        starts_at=schedule.starts_at,
        ends_at=schedule.ends_at,
        jitter=length(schedule.jitter),
        key=str(schedule.pk),
    )


def policy_of(schedule: Schedule) -> Policy:
    """What becomes of due times that are missed or overlap."""
    return Policy(overlap=schedule.overlap, catch_up=schedule.catch_up, window=length(schedule.catch_up_window))


def length(text: str | None) -> timedelta:
    """A duration as it was written."""
    return timedelta(seconds=durations.parse(text))


def _pattern_of(schedule: Schedule) -> Pattern:
    if schedule.kind == "cron" and schedule.cron is not None:
        return Cron.parse(schedule.cron, schedule.timezone)
    if schedule.kind == "interval":
        every = length(schedule.every)
        if every < MIN_EVERY:
            raise ValueError("an interval is a second at least")
        return Interval(every=every, anchor=schedule.starts_at or schedule.anchor_at)
    if schedule.kind == "once" and schedule.at is not None:
        return Once(at=schedule.at)
    raise ValueError(f"nothing says when a schedule of kind {schedule.kind!r} is due")
