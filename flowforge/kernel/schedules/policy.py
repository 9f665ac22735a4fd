"""What becomes of due times: which start a run, which wait, which are passed over, and why.

`plan` is the whole of it, for the firing of a schedule and for the simulator alike. It looks at the due times from a
cursor (the first that nothing has been decided about) up to now, at most so many at a time.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from flowforge.kernel.schedules.recurrence import Recurrence

OVERLAPS: Final = ("skip", "queue", "allow", "cancel_running")
CATCH_UPS: Final = ("none", "last", "all")
GRACE: Final = timedelta(seconds=30)  # a tick that is so late is late; until then it is on time
MAX_LOOKED_AT: Final = 500  # due times that one plan decides about
MAX_CAUGHT_UP: Final = 50  # missed ones of them that start runs: the rest comes a moment later
PACE: Final = timedelta(seconds=1)  # between two helpings of those
MAX_QUEUED: Final = 100  # due times of one schedule that wait for a run to end

# decision, reason
ON_TIME: Final = ("fired", "on_time")
CANCELLED_OTHERS: Final = ("fired", "cancelled_running")
CAUGHT_UP: Final = ("late", "missed")
MISSED: Final = ("skipped", "missed")
TOO_OLD: Final = ("skipped", "outside_window")
OVERLAPPED: Final = ("skipped", "overlap")
MERGED: Final = ("coalesced", "caught_up_by_a_later_one")
SUPERSEDED: Final = ("coalesced", "superseded")
WAITS: Final = ("deferred", "overlap")
QUEUE_FULL: Final = ("rejected", "queue_full")


@dataclass(frozen=True, kw_only=True, slots=True)
class Policy:
    """What a schedule wants where its due times are missed, or meet a run of its own that has not ended."""

    overlap: str = "skip"  # of OVERLAPS
    catch_up: str = "none"  # of CATCH_UPS
    window: timedelta = timedelta(days=1)  # what was due earlier is not caught up


@dataclass(frozen=True, kw_only=True, slots=True)
class Standing:
    """What there is of a schedule already."""

    live: int = 0  # its runs that have not ended
    queued: int = 0  # due times that wait for one of those


@dataclass(frozen=True, kw_only=True, slots=True)
class Verdict:
    """What is to become of one due time."""

    due_at: datetime
    decision: str
    reason: str
    starts: bool = False  # a run
    until: datetime | None = None  # it speaks of all due times before this one

    @classmethod
    def of(cls, due_at: datetime, decided: tuple[str, str], *, starts: bool = False) -> "Verdict":
        return cls(due_at=due_at, decision=decided[0], reason=decided[1], starts=starts)


@dataclass(frozen=True, kw_only=True, slots=True)
class Plan:
    """Verdicts in the order of due times, and where to go on."""

    verdicts: Sequence[Verdict]
    next_due_at: datetime | None  # the first due time that nothing is decided about; None: there is none
    more: bool  # that one is due already: there are too many to decide about at once
    cancels: bool = False  # the runs that live are to be asked to end


def plan(recurrence: Recurrence, policy: Policy, *, cursor: datetime, now: datetime, standing: Standing) -> Plan:
    """Decide about what is due from `cursor` (inclusive) to `now` (inclusive)."""
    old, found = _within_window(recurrence, policy, cursor, now)
    dues, following = _due(recurrence, found, policy, now)
    more = following is not None and recurrence.fires_at(following) <= now
    caught_up = list(_catch_up(recurrence, policy, dues, now, more))
    starting = sum(verdict.starts for verdict in caught_up)
    return Plan(
        verdicts=[*old, *_overlap(policy, caught_up, standing)],
        next_due_at=following,
        more=more,
        cancels=policy.overlap == "cancel_running" and starting > 0 and standing.live > 0,
    )


def _within_window(
    recurrence: Recurrence, policy: Policy, cursor: datetime, now: datetime
) -> tuple[list[Verdict], datetime | None]:
    """What is too old to be looked at one by one, as one verdict; and the first due time that is not."""
    horizon = now - policy.window
    if cursor >= horizon:
        return [], cursor
    first = next(recurrence.dues_from(horizon), None)
    at = None if first is None else first.at
    return [replace(Verdict.of(cursor, TOO_OLD), until=at or now)], at


def _due(
    recurrence: Recurrence, first: datetime | None, policy: Policy, now: datetime
) -> tuple[list[datetime], datetime | None]:
    """The due times from `first` to now, as many as are decided about at once; and the one that follows them."""
    found: list[datetime] = []
    if first is None:
        return found, None
    late = 0
    for due in recurrence.dues_from(first):
        fires_at = recurrence.fires_at(due.at)
        late += _is_late(fires_at, now)
        if fires_at > now or len(found) == MAX_LOOKED_AT or (policy.catch_up == "all" and late > MAX_CAUGHT_UP):
            return found, due.at
        found.append(due.at)
    return found, None


def _is_late(fires_at: datetime, now: datetime) -> bool:
    return now - fires_at > GRACE


def _catch_up(
    recurrence: Recurrence, policy: Policy, dues: Sequence[datetime], now: datetime, more: bool
) -> Iterator[Verdict]:
    """All that is on time starts; of what is late, what `catch_up` says."""
    for place, due_at in enumerate(dues):
        last = place == len(dues) - 1 and not more
        if not _is_late(recurrence.fires_at(due_at), now):
            yield Verdict.of(due_at, ON_TIME, starts=True)
        elif policy.catch_up == "none":
            yield Verdict.of(due_at, MISSED)
        elif policy.catch_up == "last" and not last:
            yield Verdict.of(due_at, MERGED)
        else:
            yield Verdict.of(due_at, CAUGHT_UP, starts=True)


def _overlap(policy: Policy, verdicts: Sequence[Verdict], standing: Standing) -> Iterator[Verdict]:
    """Of what is to start, what `overlap` says."""
    live, queued = standing.live > 0, standing.queued
    left = sum(verdict.starts for verdict in verdicts)
    for verdict in verdicts:
        left -= verdict.starts
        if not verdict.starts or policy.overlap == "allow":
            yield verdict
        elif policy.overlap == "cancel_running":
            yield _cancelling(verdict, live=live, last=left == 0)
        elif not live and not queued:
            live = True
            yield verdict
        elif policy.overlap == "skip":
            yield Verdict.of(verdict.due_at, OVERLAPPED)
        elif queued < MAX_QUEUED:
            queued += 1
            yield Verdict.of(verdict.due_at, WAITS)
        else:
            yield Verdict.of(verdict.due_at, QUEUE_FULL)


def _cancelling(verdict: Verdict, *, live: bool, last: bool) -> Verdict:
    """Of several at once the newest starts: the others would be cancelled the moment they began."""
    if not last:
        return Verdict.of(verdict.due_at, SUPERSEDED)
    return Verdict.of(verdict.due_at, CANCELLED_OTHERS, starts=True) if live else verdict
