"""When a schedule is due: cron, interval or once, between its start and its end, with its jitter."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import takewhile
from typing import Final, Protocol

from flowforge.kernel.schedules.due import Due

MIN_EVERY_SECONDS: Final = 1.0
_TICK: Final = timedelta(microseconds=1)  # the least that moments differ by


class Pattern(Protocol):
    """What knows due times: Cron, Interval, Once."""

    def dues(self, after: datetime) -> Iterator[Due]:
        """All later than `after`, in order, each once."""
        ...


@dataclass(frozen=True, slots=True)
class Interval:
    """Every so many seconds, counted from an anchor (which is due itself), whatever clocks are turned."""

    every: timedelta
    anchor: datetime

    def dues(self, after: datetime) -> Iterator[Due]:
        count = (after - self.anchor) // self.every + 1
        while True:
            yield Due(self.anchor + count * self.every)
            count += 1


@dataclass(frozen=True, slots=True)
class Once:
    """At one moment."""

    at: datetime

    def dues(self, after: datetime) -> Iterator[Due]:
        if self.at > after:
            yield Due(self.at)


@dataclass(frozen=True, kw_only=True, slots=True)
class Recurrence:
    """A pattern with its bounds. The same values always give the same due times: a due time is its own key."""

    pattern: Pattern
    starts_at: datetime | None = None  # inclusive
    ends_at: datetime | None = None  # inclusive
    jitter: timedelta = timedelta(0)  # a run starts so much later at most
    key: str = ""  # what the jitter is drawn from, beside the due time: the schedule's id

    def dues(self, after: datetime) -> Iterator[Due]:
        """All due times later than `after`, in order, each once."""
        if self.starts_at is not None:
            after = max(after, self.starts_at - _TICK)
        found = self.pattern.dues(after)
        end = self.ends_at
        return found if end is None else takewhile(lambda due: due.at <= end, found)

    def dues_from(self, moment: datetime) -> Iterator[Due]:
        """All from `moment` on, inclusive."""
        return self.dues(moment - _TICK)

    def next_after(self, moment: datetime) -> datetime | None:
        found = next(self.dues(moment), None)
        return None if found is None else found.at

    def fires_at(self, due_at: datetime) -> datetime:
        """When the run of a due time starts: the same wherever and whenever somebody asks."""
        if not self.jitter:
            return due_at
        digest = hashlib.sha256(f"{self.key} {due_at.timestamp()}".encode()).digest()
        return due_at + self.jitter * (int.from_bytes(digest[:6], "big") / 2**48)
