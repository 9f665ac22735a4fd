"""When each step of a run did what, as bars on a common axis. A function of values: the template draws it."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from flowforge.core.json import Json
from flowforge.kernel.states import ENDED_STEP_STATUSES
from flowforge.staff.shown import lasted
from runs.present import Shown

TICKS: Final = 4  # parts of the axis
_STARTED: Final = "step.started"


@dataclass(frozen=True, kw_only=True, slots=True)
class Bar:
    """A stretch of a step's time."""

    status: str  # what it was, or for an attempt what came of it
    left: str  # percent of the axis, as CSS wants it
    width: str
    title: str  # for people: `attempt 2, failed after 3 s`


@dataclass(frozen=True, kw_only=True, slots=True)
class Lane:
    """A step's line."""

    name: str
    bars: Sequence[Bar]


@dataclass(frozen=True, kw_only=True, slots=True)
class Timeline:
    """Lanes under an axis whose ticks are (percent, label)."""

    ticks: Sequence[tuple[str, str]]
    lanes: Sequence[Lane]


@dataclass(slots=True)
class _Stretch:
    begin: datetime
    end: datetime
    status: str
    attempt: int


@dataclass(slots=True)
class _Step:
    """A step's stretches as its events tell them."""

    stretches: list[_Stretch] = field(default_factory=list)

    def take(self, at: datetime, event: str, data: Mapping[str, Json], now: datetime) -> None:
        """An event ends the stretch before it, and begins one if the step is then busy or waits for something."""
        state = event.removeprefix("step.")
        last = self.stretches[-1] if self.stretches else None
        if last is not None and last.end is now:
            last.end = at
            if last.status == "running":  # an attempt is coloured by what came of it
                last.status = state if state in (*ENDED_STEP_STATUSES, "retrying") else "completed"
        if event == _STARTED or state == "waiting":
            status = "running" if event == _STARTED else "waiting"
            attempt = data.get("attempt") or (last.attempt if last else 1)
            self.stretches.append(_Stretch(begin=at, end=now, status=status, attempt=attempt))


def timeline(steps: Iterable[Shown], events: Iterable[Shown], now: datetime) -> Timeline | None:
    """The lanes of those steps that have begun; None if none has.

    `steps` and `events` are as clients see them. A step whose events are not among `events` gets one bar, of its last
    attempt.
    """
    told = _told(events, now)
    found = [(step["name"], _stretches(step, told, now)) for step in steps]
    busy = [(name, stretches) for name, stretches in found if stretches]
    if not busy:
        return None
    begin = min(stretch.begin for _, stretches in busy for stretch in stretches)
    end = max(stretch.end for _, stretches in busy for stretch in stretches)
    seconds = max((end - begin).total_seconds(), 0.001)
    lanes = [Lane(name=name, bars=[_bar(stretch, begin, seconds) for stretch in stretches]) for name, stretches in busy]
    ticks = [(f"{100 * tick / TICKS:g}", lasted(seconds * tick / TICKS)) for tick in range(TICKS + 1)]
    return Timeline(ticks=ticks, lanes=lanes)


def _told(events: Iterable[Shown], now: datetime) -> dict[str, _Step]:
    """Steps by id, with what their events tell."""
    steps: dict[str, _Step] = {}
    for event in events:
        if "step_id" in event:
            step = steps.setdefault(event["step_id"], _Step())
            step.take(datetime.fromisoformat(event["at"]), event["event"], event["data"], now)
    return steps


def _stretches(step: Shown, told: Mapping[str, _Step], now: datetime) -> Sequence[_Stretch]:
    known = told[step["id"]].stretches if step["id"] in told else []
    if known or step["started_at"] is None:
        return known
    begin = datetime.fromisoformat(step["started_at"])
    end = now if step["finished_at"] is None else datetime.fromisoformat(step["finished_at"])
    return [_Stretch(begin=begin, end=end, status=step["status"], attempt=step["attempt"])]


def _bar(stretch: _Stretch, begin: datetime, seconds: float) -> Bar:
    length = (stretch.end - stretch.begin).total_seconds()
    return Bar(
        status=stretch.status,
        left=f"{100 * (stretch.begin - begin).total_seconds() / seconds:.2f}",
        width=f"{100 * length / seconds:.2f}",
        title=f"attempt {stretch.attempt}, {stretch.status}: {lasted(length)}",
    )
