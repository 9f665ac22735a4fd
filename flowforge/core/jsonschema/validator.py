"""Compiled schemas and what they find."""

import re
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from threading import Lock
from typing import Any, Final

import jsonschema_rs

from flowforge.core.errors import Fault, InvalidBody
from flowforge.core.json import Json, canonical, loads_trusted
from flowforge.core.jsonschema.complexity import allowed_depth
from flowforge.core.jsonschema.defaults import apply_defaults
from flowforge.core.jsonschema.references import Schema, SchemaError
from flowforge.core.pointers import pointer_of, resolve

MAX_FAULTS: Final = 100
MAX_SCHEMA_BYTES: Final = 256 * 1024
CACHE_SIZE: Final = 512

_MAX_DETAIL = 300
_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_UNEXPECTED: Final = ("additionalProperties", "unevaluatedProperties")
_REGEX_OPTIONS = jsonschema_rs.RegexOptions(size_limit=1 << 20, dfa_size_limit=1 << 20)  # linear-time engine


@dataclass(frozen=True, kw_only=True)
class Validator:
    """A schema ready for use; safe to share between threads."""

    schema: Schema
    _compiled: Any
    _max_depth: int | None

    def faults(self, instance: Json, limit: int = MAX_FAULTS) -> list[Fault]:
        """What is wrong with `instance`, at most `limit` faults; empty if it is valid.

        Pointers are RFC 6901; a missing or unknown member is named itself. Codes are the failing keywords in
        snake_case: `required, type, enum, minimum, additional_properties …`.
        """
        if self._max_depth is not None and _depth(instance) > self._max_depth:
            detail = f"nested deeper than {self._max_depth}, more than this schema can check in bounded time"
            return [Fault(pointer="", code="too_deep", detail=detail)]
        try:
            # the quick question first: only invalid instances pay for the search of what is wrong
            if self._compiled.is_valid(instance):
                return []
            errors = self._compiled.iter_errors(instance)
        except (ValueError, TypeError) as error:
            return [Fault(pointer="", code="not_json", detail=f"not JSON: {str(error)[:_MAX_DETAIL]}")]
        return list(islice((fault for error in errors for fault in _faults(error, instance)), limit))


def compile_schema(schema: Schema) -> Validator:
    """The validator of a JSON Schema 2020-12 document, from a cache where the same one was compiled before.

    Formats are asserted; patterns run in linear time (no look-around, no back references). Raises SchemaError on
    what is not a schema, too large or too complex, or refers to anything outside itself.
    """
    key = _canonical(schema)
    with _lock:
        found = _cache.get(key)
        if found is not None:
            _cache.move_to_end(key)
            return found
    compiled = _compile(loads_trusted(key))  # a copy: the caller may change its own
    with _lock:
        _cache[key] = compiled
        while len(_cache) > CACHE_SIZE:
            _cache.popitem(last=False)
    return compiled


_cache: OrderedDict[bytes, Validator] = OrderedDict()
_lock = Lock()


def _canonical(schema: Schema) -> bytes:
    if not isinstance(schema, (Mapping, bool)):
        raise SchemaError("a schema is an object or a boolean", code="type")
    try:
        key = canonical(schema)
    except (TypeError, ValueError, RecursionError) as error:
        raise SchemaError(f"not JSON: {error}", code="not_json") from None
    if len(key) > MAX_SCHEMA_BYTES:
        raise SchemaError(f"a schema has at most {MAX_SCHEMA_BYTES // 1024} KiB", code="too_large")
    return key


def _compile(schema: dict[str, Any] | bool) -> Validator:
    try:
        jsonschema_rs.meta.validate(schema if isinstance(schema, bool) else {**schema, "$schema": _DIALECT})
        max_depth = allowed_depth(schema)
        compiled = jsonschema_rs.Draft202012Validator(
            schema, validate_formats=True, retriever=_refuse, pattern_options=_REGEX_OPTIONS
        )
    except jsonschema_rs.ValidationError as error:
        unresolved = isinstance(error.kind, jsonschema_rs.ValidationErrorKind.Referencing)
        code = "remote_reference" if unresolved else "invalid_schema"
        raise SchemaError(_shorten(error.message), pointer_of(error.instance_path), code) from None
    except ValueError as error:
        if isinstance(error, SchemaError):
            raise
        raise SchemaError(_shorten(str(error))) from None
    try:
        apply_defaults(schema, {})  # endless defaults are found now rather than by the first instance
    except InvalidBody as error:
        raise SchemaError(error.detail, code="too_complex") from None
    return Validator(schema=schema, _compiled=compiled, _max_depth=max_depth)


_DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"


def _refuse(uri: str) -> Json:
    raise ValueError(f"references outside the schema are refused: {uri}")


def _faults(error: Any, instance: Json) -> Iterator[Fault]:
    """The faults of one error of the library: one for each member that is missing or not known."""
    keyword, path = error.kind.name, list(error.instance_path)
    if keyword == "required":
        yield _fault([*path, error.kind.property], "required", "is required")
    elif keyword in _UNEXPECTED:
        yield from (_unexpected(path, name, keyword) for name in error.kind.unexpected)
    elif keyword == "falseSchema" and _closes_object(error.schema_path):
        # without `properties` beside it the library names neither the keyword nor the members
        members = resolve(instance, pointer_of(path))
        yield from (_unexpected(path, name, error.schema_path[-1]) for name in members)
    else:
        yield _fault(path, keyword, error.message)


def _closes_object(schema_path: list[str | int]) -> bool:
    return bool(schema_path) and schema_path[-1] in _UNEXPECTED and schema_path[-2:-1] != ["properties"]


def _unexpected(path: list[str | int], name: str, keyword: str) -> Fault:
    return _fault([*path, name], keyword, "is not a known field")


def _fault(path: list[str | int], keyword: str, detail: str) -> Fault:
    return Fault(pointer=pointer_of(path), code=_CAMEL.sub("_", keyword).lower(), detail=_shorten(detail))


def _shorten(message: str) -> str:
    return message if len(message) <= _MAX_DETAIL else f"{message[:_MAX_DETAIL]}…"


def _depth(instance: Json) -> int:
    """How deep arrays and objects nest; a scalar is 0 deep."""
    depth, level = 0, [instance]
    while level := [part for whole in level for part in _parts(whole)]:
        depth += 1
    return depth


def _parts(value: Json) -> list[Json]:
    if isinstance(value, Mapping):
        return list(value.values())
    return value if isinstance(value, list) else []
