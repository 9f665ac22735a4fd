"""Cron expressions in a time zone. Which local times match is cronsim's to say (Debian's cron); when those are, ours.

What becomes of a local time that the clocks skip or show twice, by docs/schedules.md:

- skipped: the due time comes at the first moment after the gap, once however many were skipped; a pattern whose hour
  begins with `*` goes on with the next hour that there is;
- repeated: the first time only; a pattern whose minute or hour begins with `*` comes at every real interval.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Final
from zoneinfo import ZoneInfo

from cronsim import CronSim, CronSimError

from flowforge.kernel.schedules.due import AFTER_GAP, FIRST_OF_TWO, PLAIN, SECOND_OF_TWO, Due
from flowforge.kernel.schedules.zones import Stretch, stretches, zone_of

MAX_LENGTH: Final = 200
NICKNAMES: Final = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}
_SECOND: Final = timedelta(seconds=1)
_SOME_DAY: Final = datetime(2026, 1, 1)  # noqa: DTZ001  a wall clock has no zone


@dataclass(frozen=True, slots=True)
class Cron:
    """A pattern of local times. Made by `parse`."""

    expression: str  # five fields
    zone: ZoneInfo

    @classmethod
    def parse(cls, text: str, zone: str = "UTC") -> "Cron":
        """Raises ValueError, with a message for people, for what is no pattern or no zone."""
        return cls(expression=_fields(text), zone=zone_of(zone))

    @property
    def is_hourly(self) -> bool:
        """Whether the hour is left open, so that an hour which isn't there is not missed."""
        return self.expression.split()[1].startswith("*")

    @property
    def is_periodic(self) -> bool:
        """Whether it means "every so often", and so each real interval, rather than times of day."""
        return self.is_hourly or self.expression.startswith("*")

    def dues(self, after: datetime) -> Iterator[Due]:
        """All due times later than `after`, in order, each once; none beyond MAX_YEARS."""
        last = after
        for stretch in stretches(self.zone, after):
            for due in self._within(stretch, after):
                if due.at > last:  # the moment after a gap may be due by itself as well
                    last = due.at
                    yield due

    def _within(self, stretch: Stretch, after: datetime) -> Iterator[Due]:
        turned = stretch.offset - stretch.before
        if turned > timedelta(0) and stretch.starts_at > after and not self.is_hourly and self._skipped(stretch):
            yield Due(stretch.starts_at, AFTER_GAP)
        repeated_until = stretch.unmoved_wall if turned < timedelta(0) else None
        begin = stretch.wall(max(stretch.starts_at - _SECOND, after))
        if repeated_until is not None and not self.is_periodic:
            begin = max(begin, repeated_until - _SECOND)
        for wall in CronSim(self.expression, begin):
            at = stretch.moment(wall)
            if at >= stretch.ends_at:
                return
            repeated = repeated_until is not None and wall < repeated_until
            yield Due(at, SECOND_OF_TWO if repeated else self._mark(wall))

    def _skipped(self, stretch: Stretch) -> bool:
        """Whether a local time between the clocks' old and new position would have been due."""
        wall = next(CronSim(self.expression, stretch.unmoved_wall - _SECOND), None)
        return wall is not None and wall < stretch.wall(stretch.starts_at)

    def _mark(self, wall: datetime) -> str:
        first, second = (wall.replace(tzinfo=self.zone, fold=fold).utcoffset() for fold in (0, 1))
        return FIRST_OF_TWO if first is not None and second is not None and first > second else PLAIN


@lru_cache(maxsize=1024)
def _fields(text: str) -> str:
    """The five fields of an expression. Raises ValueError."""
    if len(text) > MAX_LENGTH:
        raise ValueError(f"a cron expression has at most {MAX_LENGTH} characters")
    plain = NICKNAMES.get(text.strip().lower(), text)
    parts = plain.upper().split()
    if plain.strip().startswith("@"):
        raise ValueError(f"{text.strip()!r} is none of {', '.join(NICKNAMES)}")
    if len(parts) != 5:
        raise ValueError("a cron expression has five fields: minute, hour, day of month, month, day of week")
    expression = " ".join(parts)
    try:
        first = next(CronSim(expression, _SOME_DAY), None)
    except CronSimError as error:
        raise ValueError(f"{text.strip()!r} is no cron expression: {str(error).lower()}") from None
    except (AssertionError, ValueError, TypeError, IndexError) as error:
        raise ValueError(f"{text.strip()!r} is no cron expression") from error
    if first is None:
        raise ValueError(f"{text.strip()!r} never comes")
    return expression
