"""JSON as FlowForge speaks it: strict on reading, the same on every database, fast on writing (orjson).

RFC 8259 leaves duplicate keys, lone surrogates and huge numbers open; databases disagree on them, so they are
refused at the door (`loads`), and replaced in what steps give back (`sanitize`).
"""

import json as stdlib_json
import math
from collections.abc import Mapping
from datetime import datetime
from typing import Any

import orjson

from flowforge.core.clock import isoformat

MAX_DEPTH = 64
Json = Any  # dict | list | str | int | float | bool | None, nested

_REPLACEMENT = "�"
_INT64_MIN, _UINT64_MAX = -(2**63), 2**64 - 1


class JsonError(ValueError):
    """The text is not acceptable JSON; the message says why, for people."""


def dumps(value: Json) -> bytes:
    """Compact UTF-8 JSON; datetimes as RFC 3339 in UTC with six decimals and Z, UUIDs as text."""
    return orjson.dumps(value, default=_default, option=orjson.OPT_PASSTHROUGH_DATETIME)


def text(value: Json) -> str:
    """The same as `dumps`, as a string: for database parameters."""
    return dumps(value).decode()


def canonical(value: Json) -> bytes:
    """Compact JSON with sorted keys: equal values give equal bytes, for hashes and comparison."""
    return orjson.dumps(value, default=_default, option=orjson.OPT_PASSTHROUGH_DATETIME | orjson.OPT_SORT_KEYS)


def loads_trusted(raw: bytes | str) -> Json:
    """Read what this service wrote itself."""
    return orjson.loads(raw)


def loads(raw: bytes) -> Json:
    """Read a client's JSON.

    Raises JsonError on: another encoding than UTF-8, duplicate keys, NUL or lone surrogates in strings, NaN,
    infinities (also by overflow, such as 1e400), integers beyond 64 bits, nesting deeper than 64.
    """
    try:
        decoded = raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise JsonError(f"not UTF-8 at byte {error.start}") from None
    _check_depth(decoded)
    try:
        value = stdlib_json.loads(
            decoded, object_pairs_hook=_object, parse_constant=_constant, parse_float=_float, parse_int=_int
        )
    except JsonError:
        raise
    except (ValueError, RecursionError) as error:
        raise JsonError(str(error)) from None
    if "\\u" in decoded or "\x00" in decoded:
        _check_strings(value)
    return value


def sanitize(value: Json) -> tuple[Json, bool]:
    """Make what a step gave back storable; says whether anything had to be replaced.

    NaN and infinities become null, NUL and lone surrogates U+FFFD, keys text, unknown types their `str`,
    what nests deeper than 64 its `str`, integers beyond 64 bits floats.
    """
    try:
        raw = orjson.dumps(value)
        _check_depth(raw.decode())
        if b"\\u0000" not in raw and orjson.loads(raw) == value:
            return value, False
    except (TypeError, ValueError, RecursionError):
        pass
    changed: list[bool] = []
    return _sanitize(value, 0, changed), bool(changed)


def _default(value: object) -> Json:
    if isinstance(value, datetime):
        return isoformat(value)
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, (set, frozenset, tuple)):
        return list(value)
    raise TypeError(f"not JSON: {type(value).__name__}")


def _check_depth(decoded: str) -> None:
    """Count brackets outside strings before any recursive parser sees the text."""
    if decoded.count("[") + decoded.count("{") <= MAX_DEPTH:
        return
    depth, in_string, escaped = 0, False, False
    for char in decoded:
        if in_string:
            if escaped:
                escaped = False
            elif char == "\\":
                escaped = True
            elif char == '"':
                in_string = False
        elif char == '"':
            in_string = True
        elif char in "[{":
            depth += 1
            if depth > MAX_DEPTH:
                raise JsonError(f"nested deeper than {MAX_DEPTH}")
        elif char in "]}":
            depth -= 1


def _object(pairs: list[tuple[str, Json]]) -> dict[str, Json]:
    found = dict(pairs)
    if len(found) != len(pairs):
        seen: set[str] = set()
        for key, _ in pairs:
            if key in seen:
                raise JsonError(f"duplicate key {key!r}")
            seen.add(key)
    return found


def _constant(name: str) -> Json:
    raise JsonError(f"{name} is not JSON")


def _float(literal: str) -> float:
    number = float(literal)
    if math.isinf(number):
        raise JsonError(f"number out of range: {literal[:32]}")
    return number


def _int(literal: str) -> int:
    if len(literal) > 20:
        raise JsonError(f"integer beyond 64 bits: {literal[:32]}")
    number = int(literal)
    if not _INT64_MIN <= number <= _UINT64_MAX:
        raise JsonError(f"integer beyond 64 bits: {literal}")
    return number


def _check_strings(value: Json) -> None:
    stack = [value]
    while stack:
        item = stack.pop()
        if isinstance(item, str):
            if "\x00" in item:
                raise JsonError("NUL in a string")
            if not item.isascii() and any("\ud800" <= char <= "\udfff" for char in item):
                raise JsonError("lone surrogate in a string")
        elif isinstance(item, dict):
            stack.extend(item)
            stack.extend(item.values())
        elif isinstance(item, list):
            stack.extend(item)


def _clean_text(item: str, changed: list[bool]) -> str:
    clean = item.replace("\x00", _REPLACEMENT)
    if not clean.isascii():
        # by way of UTF-16, where two halves that belong together become the character that they stand for
        clean = clean.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    if clean != item:
        changed.append(True)
    return clean


def _sanitize(value: Json, depth: int, changed: list[bool]) -> Json:
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        return _clean_text(value, changed)
    if isinstance(value, int):
        if _INT64_MIN <= value <= _UINT64_MAX:
            return value
        changed.append(True)
        return float(value) if abs(value) < 1e300 else None
    if isinstance(value, float):
        if math.isfinite(value):
            return value
        changed.append(True)
        return None
    if depth >= MAX_DEPTH or not isinstance(value, (Mapping, list, tuple)):
        changed.append(True)
        return _clean_text(str(value)[:10_000], changed)
    if isinstance(value, Mapping):
        return {_key(k, changed): _sanitize(v, depth + 1, changed) for k, v in value.items()}
    if isinstance(value, tuple):
        changed.append(True)
    return [_sanitize(item, depth + 1, changed) for item in value]


def _key(key: object, changed: list[bool]) -> str:
    if not isinstance(key, str):
        changed.append(True)
    return _clean_text(str(key), changed)
