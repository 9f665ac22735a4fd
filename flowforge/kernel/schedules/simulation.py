"""What a schedule would do between two moments: the plans that its firing would make, played forward.

Time goes from one moment to the next at which something happens: a due time, the end of a downtime, the end of a run.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from flowforge.kernel.schedules.due import PLAIN, Due
from flowforge.kernel.schedules.policy import PACE, Policy, Standing, Verdict, plan
from flowforge.kernel.schedules.recurrence import Recurrence


@dataclass(frozen=True, kw_only=True, slots=True)
class World:
    """What is assumed of everything else."""

    downtimes: Sequence[tuple[datetime, datetime]] = ()  # nothing looks at schedules meanwhile; runs go on
    run_lasts: timedelta = timedelta(0)


@dataclass(frozen=True, kw_only=True, slots=True)
class Step:
    """What would become of one due time."""

    due: Due
    decision: str
    reason: str
    run_at: datetime | None  # when its run starts
    until: datetime | None = None


class Simulation:
    """`steps` says what would happen, in the order of due times."""

    def __init__(self, recurrence: Recurrence, policy: Policy, world: World) -> None:
        self._recurrence = recurrence
        self._policy = policy
        self._world = world
        self._ends: list[datetime] = []  # of the runs that live
        self._waiting: list[Verdict] = []
        self._marks: dict[datetime, str] = {}
        self._steps: dict[datetime, Step] = {}

    def steps(self, begin: datetime, end: datetime, limit: int) -> list[Step]:
        """Due times from `begin` (inclusive) to `end` (exclusive), `limit` at most, with what would become of each."""
        cursor, now = self._mark(begin, end, limit), begin
        while cursor is not None and cursor in self._marks:
            now = max(now, self._next_look(self._recurrence.fires_at(cursor)))
            self._release(now)
            planned = plan(self._recurrence, self._policy, cursor=cursor, now=now, standing=self._standing(now))
            if planned.cancels:
                self._ends = []
            for verdict in planned.verdicts:
                self._take(verdict, now)
            cursor, now = planned.next_due_at, now + PACE * planned.more
        self._release(None)
        return [self._steps[due_at] for due_at in sorted(self._steps) if due_at in self._marks]

    def _mark(self, begin: datetime, end: datetime, limit: int) -> datetime | None:
        """Remember what daylight saving does to each due time; the first of them."""
        for due in self._recurrence.dues_from(begin):
            if due.at >= end or len(self._marks) >= limit:
                break
            self._marks[due.at] = due.mark
        return next(iter(self._marks), None)

    def _next_look(self, moment: datetime) -> datetime:
        """That moment, or the end of the downtime that it lies in."""
        for begin, end in sorted(self._world.downtimes):
            if begin <= moment < end:
                moment = end
        return moment

    def _standing(self, now: datetime) -> Standing:
        self._ends = [end for end in self._ends if end > now]
        return Standing(live=len(self._ends), queued=len(self._waiting))

    def _take(self, verdict: Verdict, now: datetime) -> None:
        if verdict.starts:
            self._ends.append(now + self._world.run_lasts)
        if verdict.decision == "deferred":
            self._waiting.append(verdict)
        self._tell(verdict, now if verdict.starts else None)

    def _tell(self, verdict: Verdict, run_at: datetime | None) -> None:
        due = Due(verdict.due_at, self._marks.get(verdict.due_at, PLAIN))
        self._steps[due.at] = Step(
            due=due, decision=verdict.decision, reason=verdict.reason, run_at=run_at, until=verdict.until
        )

    def _release(self, until: datetime | None) -> None:
        """Let go, one after the other, what waits for a run that ends by `until`; None: all of it."""
        while self._waiting and self._ends:
            at = self._next_look(max(self._ends))
            if until is not None and at > until:
                return
            self._tell(self._waiting.pop(0), at)
            self._ends = [at + self._world.run_lasts]
