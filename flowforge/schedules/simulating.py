"""`POST /v1/schedules:simulate`: from what was sent to the kernel's simulation."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

from flowforge.core.errors import Fault, InvalidBody
from flowforge.kernel.schedules import Policy
from flowforge.kernel.schedules.simulation import Simulation, Step, World
from flowforge.kernel.schedules.zones import moment_of, zone_of
from flowforge.schedules.constants import DEFAULT_WINDOW, MAX_SIMULATED, MAX_SIMULATED_SPAN
from flowforge.schedules.recurrences import length
from flowforge.schedules.services.checking import checked, recurrence_from


def simulate(given: Mapping[str, Any]) -> tuple[list[Step], ZoneInfo]:
    """What would become of each due time, MAX_SIMULATED of them at most. Raises InvalidBody (422)."""
    asked = given["schedule"]
    zone = _zone(asked.get("timezone", "UTC"))
    begin, end = (_utc(given[name], zone) for name in ("from", "to"))
    if not begin < end <= begin + MAX_SIMULATED_SPAN:
        detail = f"`to` is later than `from`, by {MAX_SIMULATED_SPAN.days} days at most."
        raise InvalidBody(faults=[Fault(pointer="/to", code="invalid", detail=detail)])
    values = {"timezone": "UTC", "jitter": "0s", **_under_schedule(asked, begin)}
    policy = Policy(
        overlap=asked.get("overlap", "skip"),
        catch_up=asked.get("catch_up", "none"),
        window=length(asked.get("catch_up_window", DEFAULT_WINDOW)),
    )
    world = World(
        downtimes=[(_utc(found["from"], zone), _utc(found["to"], zone)) for found in given.get("downtime", ())],
        run_lasts=length(given.get("run_duration", "0s")),
    )
    recurrence = recurrence_from(values, begin)
    return Simulation(recurrence, policy, world).steps(begin, end, MAX_SIMULATED), zone


def _under_schedule(asked: Mapping[str, Any], begin: datetime) -> dict[str, Any]:
    """The schedule as it would be stored at the beginning. Raises InvalidBody with pointers below `/schedule`."""
    try:
        return checked(asked, {}, begin)
    except InvalidBody as error:
        raise InvalidBody(faults=[fault.under("/schedule") for fault in error.faults]) from error


def _zone(name: str) -> ZoneInfo:
    try:
        return zone_of(name)
    except ValueError as error:
        fault = Fault(pointer="/schedule/timezone", code="invalid", detail=f"{error}.")
        raise InvalidBody(faults=[fault]) from error


def _utc(found: datetime, zone: ZoneInfo) -> datetime:
    return moment_of(zone, found) if found.tzinfo is None else found.astimezone(UTC)
