"""Which part of a content a client asks for (RFC 9110, section 14). Pure: headers in, bytes out."""

import re
from dataclasses import dataclass
from typing import Final

MAX_RANGES: Final = 32  # of one header: more are somebody's mistake, or an attack
_RANGE: Final = re.compile(r"[ \t]*(?:([0-9]+)-([0-9]*)|-([0-9]+))[ \t]*")
_DIGITS: Final = 18  # no size has more


class NotSatisfiable(Exception):
    """None of the ranges lies within the content (416)."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Part:
    """The bytes from `start` up to, without, `end`."""

    start: int
    end: int

    def header(self, size: int) -> str:
        """`Content-Range` (14.4)."""
        return f"bytes {self.start}-{self.end - 1}/{size}"


def part_of(header: str, size: int) -> Part | None:
    """The part that `Range: header` asks for; None: the whole is to be sent.

    A server may ignore the header (14.2). That is done with another unit than bytes, with what is no range, and with
    several that are not one together: those would need a body of several parts. Raises NotSatisfiable.
    """
    unit, separator, members = header.partition("=")
    if not separator or unit.strip().lower() != "bytes":
        return None
    specs = [member for member in members.split(",") if member.strip()]
    if not 1 <= len(specs) <= MAX_RANGES:
        return None
    found: list[Part] = []
    for spec in specs:
        matched = _RANGE.fullmatch(spec)
        if matched is None or _is_backwards(matched):
            return None
        part = _part(matched, size)
        if part is not None:
            found.append(part)
    if not found:
        raise NotSatisfiable
    return _together(found)


def _is_backwards(matched: re.Match[str]) -> bool:
    """A range whose last position is before its first is invalid, and so is the whole header (14.1.1)."""
    first, last, _ = matched.groups()
    return bool(last) and _number(last) < _number(first)


def _part(matched: re.Match[str], size: int) -> Part | None:
    """None: it lies beyond the content, or is empty."""
    first, last, suffix = matched.groups()
    if suffix is not None:
        start, end = max(0, size - _number(suffix)), size
    else:
        start, end = _number(first), min(size, _number(last) + 1) if last else size
    return Part(start=start, end=end) if start < end else None


def _together(parts: list[Part]) -> Part | None:
    """Those that overlap or follow one another are one (15.3.7.2 allows to put them together)."""
    parts = sorted(parts, key=lambda part: part.start)
    whole = parts[0]
    for part in parts[1:]:
        if part.start > whole.end:
            return None
        whole = Part(start=whole.start, end=max(whole.end, part.end))
    return whole


def _number(digits: str) -> int:
    """A number that is greater than any size is as good as the greatest."""
    digits = digits.lstrip("0") or "0"
    return int(digits) if len(digits) <= _DIGITS else 10**_DIGITS
