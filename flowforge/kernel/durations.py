"""Durations and rates as people write them: `30s`, `1h30m`, `PT1H30M`, `90`; `100/m`."""

import math
import re
from typing import Final

MAX_SECONDS: Final = 3653 * 86_400.0  # ten years: what is longer is a slip of the pen

_MAX_LENGTH = 64
_UNITS: Final = {"w": 604_800.0, "d": 86_400.0, "h": 3_600.0, "m": 60.0, "s": 1.0, "ms": 0.001}
RATE_UNITS: Final = {"s": 1.0, "m": 60.0, "h": 3_600.0, "d": 86_400.0}
_NUMBER = r"([0-9]+(?:\.[0-9]+)?)"
_PLAIN = re.compile(_NUMBER)
# each unit at most once, from the longest to the shortest
_SHORT = re.compile("(?! )" + "".join(f"(?: ?{_NUMBER}{unit})?" for unit in _UNITS))
# ISO 8601-1, 5.5.2.4; years and months have no fixed length
_ISO = re.compile(rf"P(?:{_NUMBER}W)?(?:{_NUMBER}D)?(?:T(?:{_NUMBER}H)?(?:{_NUMBER}M)?(?:{_NUMBER}S)?)?")
_ISO_CALENDAR = re.compile(r"P[^T]*[YM]")
_RATE = re.compile(r"([0-9]{1,9})/(s|m|h|d)")


def parse(value: object) -> float:
    """Seconds of a duration: a number of seconds, `500ms 30s 5m 1h 1d 1w` or a combination, or ISO 8601.

    Raises ValueError, with a message for people, on anything else, on what is negative, not finite or over ten years.
    """
    if isinstance(value, str):
        seconds: float = _parse_text(value)
    elif isinstance(value, (int, float)) and not isinstance(value, bool):
        seconds = value  # an integer may be too large for a float
    else:
        raise ValueError("a duration is text such as 30s or a number of seconds")
    if not seconds >= 0:  # NaN is not either
        raise ValueError("a duration is not negative")
    if seconds > MAX_SECONDS:
        raise ValueError("a duration is at most ten years")
    return float(seconds)


def format(seconds: float) -> str:
    """The short form, to the millisecond: `1h30m`, `500ms`, `0s`; weeks are written as days."""
    rest = round(seconds * 1000)
    text = ""
    for unit in ("d", "h", "m", "s", "ms"):
        count, rest = divmod(rest, round(_UNITS[unit] * 1000))
        text += f"{count}{unit}" if count else ""
    return text or "0s"


def parse_rate(value: object) -> tuple[int, float]:
    """(`limit`, `seconds`) of a rate such as `100/m`; units s, m, h, d. Raises ValueError."""
    match = _RATE.fullmatch(value) if isinstance(value, str) else None
    if match is None or int(match[1]) == 0:
        raise ValueError("a rate is a positive number per unit of time, such as 100/m (s, m, h, d)")
    return int(match[1]), _UNITS[match[2]]


def _parse_text(text: str) -> float:
    if len(text) > _MAX_LENGTH:
        raise ValueError(f"a duration has at most {_MAX_LENGTH} characters")
    if _PLAIN.fullmatch(text):
        return float(text)
    if _ISO_CALENDAR.match(text):
        raise ValueError("years and months have no fixed length; give days")
    for pattern, units in ((_SHORT, _UNITS.values()), (_ISO, (604_800.0, 86_400.0, 3_600.0, 60.0, 1.0))):
        match = pattern.fullmatch(text)
        if match and any(match.groups()) and not text.endswith("T"):
            return math.fsum(float(part) * unit for part, unit in zip(match.groups(), units, strict=True) if part)
    raise ValueError(f"{text!r} is not a duration: write 500ms, 30s, 5m, 1h30m, 1d, PT1H30M or a number of seconds")
