"""Time zones as stretches of a constant offset from UTC, with what happens to local time between them."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Final
from zoneinfo import ZoneInfo, available_timezones

MAX_YEARS: Final = 30  # how far ahead anyone looks: 29 February on a certain weekday comes every 28 years
_LAST_YEAR: Final = 9990
_WEEK: Final = timedelta(days=7)  # shorter than any summer time, and than the pause that some zones make of it
_SECOND: Final = timedelta(seconds=1)


@dataclass(frozen=True, slots=True)
class Stretch:
    """From `starts_at` (inclusive) to `ends_at` (exclusive) local time is UTC + `offset`; before it was `before`."""

    starts_at: datetime
    ends_at: datetime
    offset: timedelta
    before: timedelta

    def wall(self, moment: datetime) -> datetime:
        """A moment as this stretch's clocks show it, naive."""
        return moment.replace(tzinfo=None) + self.offset

    def moment(self, wall: datetime) -> datetime:
        """The other way round."""
        return (wall - self.offset).replace(tzinfo=UTC)

    @property
    def unmoved_wall(self) -> datetime:
        """What the clocks would have shown at its start, had nobody turned them."""
        return self.starts_at.replace(tzinfo=None) + self.before


@lru_cache(maxsize=1)
def _names() -> frozenset[str]:
    return frozenset(available_timezones())


def zone_of(name: str) -> ZoneInfo:
    """An IANA time zone. Raises ValueError, with a message for people."""
    if name not in _names():
        raise ValueError(f"{name[:100]!r} is no time zone: write an IANA name such as Europe/Berlin or UTC")
    return ZoneInfo(name)


def stretches(zone: ZoneInfo, since: datetime) -> Iterator[Stretch]:
    """The stretches of a zone from the one that holds `since`, for MAX_YEARS. A year's end ends one, too."""
    begin = datetime(max(since.year - 1, 1), 1, 1, tzinfo=UTC)
    before = offset = _offset(zone, begin)
    for year in range(begin.year, min(since.year + MAX_YEARS, _LAST_YEAR) + 1):
        for end, after in (*switches(zone, year), (datetime(year + 1, 1, 1, tzinfo=UTC), None)):
            if end > begin:
                if end > since:
                    yield Stretch(begin, end, offset, before)
                begin, before = end, offset
            offset = offset if after is None else after


@lru_cache(maxsize=4096)
def switches(zone: ZoneInfo, year: int) -> tuple[tuple[datetime, timedelta], ...]:
    """When the offset of a zone changes in a year (UTC), and what it is from then on.

    `zoneinfo` tells nobody what its table holds: each week is looked at, and one in which the offset changes is
    halved until the second is found.
    """
    found = []
    week, end = datetime(year, 1, 1, tzinfo=UTC), datetime(year + 1, 1, 1, tzinfo=UTC)
    while week < end:
        following = min(week + _WEEK, end)
        if _offset(zone, week) != _offset(zone, following):
            at = _first_changed(zone, week, following)
            found.append((at, _offset(zone, at)))
        week = following
    return tuple(found)


def _first_changed(zone: ZoneInfo, begin: datetime, end: datetime) -> datetime:
    old = _offset(zone, begin)
    low, high = 0, int((end - begin) / _SECOND)
    while high - low > 1:
        middle = (low + high) // 2
        if _offset(zone, begin + middle * _SECOND) == old:
            low = middle
        else:
            high = middle
    return begin + high * _SECOND


def _offset(zone: ZoneInfo, moment: datetime) -> timedelta:
    offset = moment.astimezone(zone).utcoffset()
    assert offset is not None  # noqa: S101  every zone of the table has one
    return offset


def moment_of(zone: ZoneInfo, wall: datetime) -> datetime:
    """The moment (UTC) of a local time: the first of two, and the first after the gap of one that is skipped."""
    found = wall.replace(tzinfo=zone, fold=0).astimezone(UTC)
    if found.astimezone(zone).replace(tzinfo=None) == wall:
        return found
    return max(at for at, _ in switches(zone, found.year) if at <= found)
