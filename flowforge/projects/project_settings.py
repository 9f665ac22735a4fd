"""What may stand in a project's `settings` (api.md, section 3). Pure: values in, faults out."""

import math
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from flowforge.core.errors import Fault
from flowforge.core.json import Json
from flowforge.core.pointers import pointer_of
from flowforge.kernel import durations
from flowforge.steps.levels import LEVELS

RATE_BUCKETS: Final = ("general", "runs", "export")
MAX_RUNS: Final = 1_000_000
MAX_RETENTION_DAYS: Final = 36_500
MAX_ASSET_BYTES: Final = 2**53 - 1  # what every JSON reader takes for a whole number
_STEP_TYPE: Final = re.compile(r"[A-Za-z][A-Za-z0-9_.-]{0,99}")


def faults_of(settings: Mapping[str, Json], at: str = "/settings") -> list[Fault]:
    """All that is wrong with the settings, by pointer; unknown names too."""
    found: list[Fault] = []
    for name, value in settings.items():
        check = CHECKS.get(name)
        place = at + pointer_of([name])
        if check is None:
            found.append(Fault(pointer=place, code="unknown_field", detail="There is no such setting."))
        else:
            found.extend(check(value, place))
    return found


def merged(settings: Mapping[str, Json], changes: Mapping[str, Json]) -> dict[str, Json]:
    """Settings with changes laid over them, name by name; null takes a setting away (RFC 7396, one level deep)."""
    return {name: value for name, value in {**settings, **changes}.items() if value is not None}


def _rate_limits(value: Json, at: str) -> Iterator[Fault]:
    if not isinstance(value, Mapping):
        yield _wrong_type(at, "an object")
        return
    for bucket, rate in value.items():
        place = at + pointer_of([bucket])
        if bucket not in RATE_BUCKETS:
            yield Fault(pointer=place, code="unknown_field", detail=f"One of {', '.join(RATE_BUCKETS)}.")
            continue
        try:
            durations.parse_rate(rate)
        except ValueError as error:
            yield Fault(pointer=place, code="invalid_rate", detail=str(error))


def _step_types(value: Json, at: str) -> Iterator[Fault]:
    if not isinstance(value, list):
        yield _wrong_type(at, "a list of step types")
        return
    for index, name in enumerate(value):
        if not isinstance(name, str) or not _STEP_TYPE.fullmatch(name):
            yield Fault(pointer=at + pointer_of([index]), code="invalid", detail="The name of a step type.")


def _isolation(value: Json, at: str) -> Iterator[Fault]:
    """A level, the least that will do; or an object that may forbid the network too."""
    if isinstance(value, str):
        if value not in LEVELS:
            yield Fault(pointer=at, code="invalid_choice", detail=f"One of {', '.join(LEVELS)}.")
        return
    if not isinstance(value, Mapping):
        yield _wrong_type(at, "a level, or an object with minimum and network")
        return
    for name, member in value.items():
        place = at + pointer_of([name])
        if name == "minimum" and member not in LEVELS:
            yield Fault(pointer=place, code="invalid_choice", detail=f"One of {', '.join(LEVELS)}.")
        elif name == "network" and not isinstance(member, bool):
            yield _wrong_type(place, "true or false")
        elif name not in ("minimum", "network"):
            yield Fault(pointer=place, code="unknown_field", detail="One of minimum, network.")


def _integer(low: int, high: int) -> "_Check":
    def check(value: Json, at: str) -> Iterator[Fault]:
        if not isinstance(value, int) or isinstance(value, bool):
            yield _wrong_type(at, "a whole number")
        elif not low <= value <= high:
            yield Fault(pointer=at, code="out_of_range", detail=f"From {low} to {high}.")

    return check


def _amount(value: Json, at: str) -> Iterator[Fault]:
    if not isinstance(value, (int, float)) or isinstance(value, bool):
        yield _wrong_type(at, "a number")
    elif value < 0 or not math.isfinite(value):
        yield Fault(pointer=at, code="out_of_range", detail="Not negative.")


def _object(value: Json, at: str) -> Iterator[Fault]:
    if not isinstance(value, Mapping):
        yield _wrong_type(at, "an object")


_Check = Callable[[Any, str], Iterator[Fault]]
CHECKS: Final[Mapping[str, _Check]] = {
    "rate_limits": _rate_limits,
    "max_concurrent_runs": _integer(1, MAX_RUNS),
    "max_asset_bytes": _integer(0, MAX_ASSET_BYTES),
    "retention_days": _integer(1, MAX_RETENTION_DAYS),
    "allowed_step_types": _step_types,
    "isolation": _isolation,
    "run_cost_saving": _amount,
    "variables": _object,
    "feature_flags": _object,
}


def _wrong_type(at: str, wanted: str) -> Fault:
    return Fault(pointer=at, code="invalid_type", detail=f"This is {wanted}.")
