"""A pace with bursts, as a function of values: the generic cell rate algorithm (ITU-T I.371, annex A).

All that is kept of a pace is one moment, the theoretical arrival time: up to now it has been idle, beyond now it is
used up that far. `limit` may begin at once after it has been idle, and one each `seconds / limit` from then on.
"""

from datetime import datetime, timedelta

from flowforge.kernel.definition import RateLimit


def free(rate: RateLimit, arrives_at: datetime | None, now: datetime) -> int:
    """How many may begin at this moment."""
    if arrives_at is None or arrives_at <= now:
        return rate.limit
    return max(0, (_interval(rate) * rate.limit - (arrives_at - now)) // _interval(rate))


def opens_at(rate: RateLimit, arrives_at: datetime | None, now: datetime) -> datetime:
    """When the next may begin: `now`, or later."""
    if arrives_at is None:
        return now
    return max(now, arrives_at - _interval(rate) * (rate.limit - 1))


def after_one(rate: RateLimit, arrives_at: datetime | None, now: datetime) -> datetime:
    """The theoretical arrival time once one more has begun."""
    return max(now, arrives_at or now) + _interval(rate)


def _interval(rate: RateLimit) -> timedelta:
    return max(timedelta(microseconds=1), timedelta(seconds=rate.seconds / rate.limit))
