"""Whether what people say of a schedule makes sense, as a whole: every fault is named by its place."""

from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from flowforge.core.errors import Fault, InvalidBody
from flowforge.kernel.schedules import Cron, Interval, Once, Recurrence
from flowforge.kernel.schedules.recurrence import Pattern
from flowforge.kernel.schedules.zones import moment_of, zone_of
from flowforge.schedules.constants import MAX_JITTER, MAX_WINDOW, MIN_EVERY
from flowforge.schedules.recurrences import length

MOMENTS: Final = ("at", "starts_at", "ends_at")
_FIELD_OF: Final = {"cron": "cron", "interval": "every", "once": "at"}  # kind -> what says when


def checked(given: Mapping[str, Any], stored: Mapping[str, Any], now: datetime) -> dict[str, Any]:
    """What is given, ready to be stored: the kind it means, moments in UTC. `stored`: what a PATCH goes over.

    Raises InvalidBody (422) with all faults.
    """
    changed = dict(given)
    whole = {"timezone": "UTC", "jitter": "0s", **stored, **changed}
    kind = _kind(given, whole)
    faults = list(_shape_faults(kind, whole, given))
    if not faults:
        whole = _in_utc(whole)
        faults = list(_sense_faults(kind, whole, given, now))
    if faults:
        raise InvalidBody(faults=faults)
    if kind != stored.get("kind"):
        changed |= {"kind": kind} | {name: None for field, name in _FIELD_OF.items() if field != kind}
    return changed | {name: whole[name] for name in MOMENTS if name in given}


def recurrence_from(values: Mapping[str, Any], anchor: datetime, key: str = "") -> Recurrence:
    """The recurrence of checked values, for those that are no row: the simulator's."""
    return Recurrence(
        pattern=_pattern(values["kind"], values, values.get("starts_at") or anchor),
        starts_at=values.get("starts_at"),
        ends_at=values.get("ends_at"),
        jitter=length(values.get("jitter", "0s")),
        key=key,
    )


def _kind(given: Mapping[str, Any], whole: Mapping[str, Any]) -> str:
    """What is said, or what is meant by the one field that is given."""
    if given.get("kind"):
        return str(given["kind"])
    meant = [kind for kind, name in _FIELD_OF.items() if given.get(name) is not None]
    return meant[0] if len(meant) == 1 else str(whole.get("kind") or "")


def _shape_faults(kind: str, whole: Mapping[str, Any], given: Mapping[str, Any]) -> Iterator[Fault]:
    if kind not in _FIELD_OF:
        yield Fault(pointer="/kind", code="required", detail="Say when: kind is cron, interval or once.")
        return
    if whole.get(_FIELD_OF[kind]) is None:
        name = _FIELD_OF[kind]
        yield Fault(pointer=f"/{name}", code="required", detail=f"A schedule of kind {kind} needs {name}.")
    for name in [name for other, name in _FIELD_OF.items() if other != kind]:
        if given.get(name) is not None:
            yield Fault(pointer=f"/{name}", code="contradiction", detail=f"A schedule of kind {kind} has no {name}.")
    yield from _fault("/timezone", lambda: zone_of(whole["timezone"]))
    if kind == "cron" and whole.get("cron") is not None:
        yield from _fault("/cron", lambda: Cron.parse(whole["cron"]))


def _fault(pointer: str, attempt: Callable[[], object]) -> Iterator[Fault]:
    try:
        attempt()
    except ValueError as error:
        yield Fault(pointer=pointer, code="invalid", detail=f"{str(error)[:300]}.")


def _in_utc(whole: Mapping[str, Any]) -> dict[str, Any]:
    """Moments without an offset are local times of the schedule's zone."""
    zone = zone_of(whole["timezone"])
    moments = {name: whole.get(name) for name in MOMENTS}
    return {**whole} | {
        name: moment_of(zone, found) if found.tzinfo is None else found.astimezone(UTC)
        for name, found in moments.items()
        if found is not None
    }


def _sense_faults(kind: str, whole: Mapping[str, Any], given: Mapping[str, Any], now: datetime) -> Iterator[Fault]:
    """What holds between the fields."""
    every = length(whole["every"]) if kind == "interval" else None
    if every is not None and every < MIN_EVERY:
        yield Fault(pointer="/every", code="min_value", detail="An interval is a second at least.")
        return
    jitter = length(whole["jitter"])
    if jitter > (MAX_JITTER if every is None else min(every, MAX_JITTER)):
        most = "an hour" if every is None else "an hour, and at most the interval"
        yield Fault(pointer="/jitter", code="max_value", detail=f"The jitter is at most {most}.")
    if not timedelta(0) < length(whole.get("catch_up_window", "1d")) <= MAX_WINDOW:
        yield Fault(pointer="/catch_up_window", code="max_value", detail="The window is at most 31 days, and not none.")
    starts_at, ends_at = whole.get("starts_at"), whole.get("ends_at")
    if starts_at is not None and ends_at is not None and starts_at >= ends_at:
        yield Fault(pointer="/ends_at", code="before_start", detail="It ends after it starts.")
        return
    timed = {"kind", "cron", "every", "at", "timezone", "starts_at", "ends_at"} & given.keys()
    if timed and recurrence_from({**whole, "kind": kind}, now).next_after(now) is None:
        name = "ends_at" if kind != "once" else "at"
        yield Fault(pointer=f"/{name}", code="in_past", detail="It would never be due: that is over.")


def _pattern(kind: str, values: Mapping[str, Any], anchor: datetime) -> Pattern:
    if kind == "cron":
        return Cron.parse(values["cron"], values["timezone"])
    return Interval(every=length(values["every"]), anchor=anchor) if kind == "interval" else Once(at=values["at"])
