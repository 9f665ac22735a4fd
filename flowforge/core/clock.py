"""The one place that reads the time of day, so that tests can set it and a skewed machine does no harm.

What decides ownership (leases, due times) has to agree between machines: each process measures once in a while how
far its clock is from the database's (`set_offset`), and `now()` is the database's time from then on.
"""

from datetime import UTC, datetime, timedelta

_offset = timedelta(0)


def now() -> datetime:
    """The current moment by the database's clock, aware, UTC."""
    return datetime.now(UTC) + _offset


def set_offset(offset: timedelta) -> None:
    """The database's clock minus this machine's."""
    global _offset  # noqa: PLW0603  one process has one clock
    _offset = offset


def isoformat(moment: datetime | None) -> str | None:
    """`2026-01-01T12:00:00.123456Z`: always UTC, always six decimals."""
    if moment is None:
        return None
    if moment.tzinfo is not UTC:
        moment = moment.astimezone(UTC)
    return moment.isoformat(timespec="microseconds")[:26] + "Z"
