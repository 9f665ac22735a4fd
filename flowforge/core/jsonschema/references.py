"""How the parts of a schema lead to each other: by applying subschemas and by local `$ref`.

Only references within the document are followed (`#`, `#/pointer`, `#anchor`). What would change their meaning
(`$id` below the root, `$dynamicRef`, `$recursiveRef`) is refused rather than half supported.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final
from urllib.parse import unquote

Schema = Mapping[str, Any] | bool

# JSON Schema 2020-12, core 10.2 and 10.3. The key None: applies to the instance itself, "*": to any of its members.
_IN_PLACE_LISTS: Final = ("allOf", "anyOf", "oneOf")
_IN_PLACE: Final = ("not", "if", "then", "else")
_IN_PLACE_MAPS: Final = ("dependentSchemas", "dependencies")  # the latter is older, and applied all the same
_MEMBER_MAPS: Final = ("patternProperties",)
_MEMBERS: Final = (
    "additionalProperties",
    "items",
    "contains",
    "unevaluatedItems",
    "unevaluatedProperties",
    "propertyNames",
)
_UNSUPPORTED: Final = ("$dynamicRef", "$recursiveRef")


class SchemaError(ValueError):
    """Not a schema that may be used; `pointer` (RFC 6901) says where in it, the message why, for people."""

    def __init__(self, message: str, pointer: str = "", code: str = "invalid_schema") -> None:
        super().__init__(message)
        self.pointer = pointer
        self.code = code


def applied(schema: Schema) -> Iterator[tuple[str | None, Schema]]:
    """(key, subschema) of each subschema: key None applies to the same instance, a name to that member, "*" to any."""
    if isinstance(schema, bool):
        return
    for keyword in _IN_PLACE_LISTS:
        yield from ((None, part) for part in _list(schema.get(keyword)))
    for keyword in _IN_PLACE_MAPS:
        yield from ((None, part) for part in _map(schema.get(keyword)).values() if not isinstance(part, list))
    yield from ((None, schema[keyword]) for keyword in _IN_PLACE if keyword in schema)
    yield from _map(schema.get("properties")).items()
    for keyword in _MEMBER_MAPS:
        yield from (("*", part) for part in _map(schema.get(keyword)).values())
    yield from (("*", part) for part in _list(schema.get("prefixItems")))
    yield from (("*", schema[keyword]) for keyword in _MEMBERS if keyword in schema)


class Resolver:
    """Follows the local references of one schema document."""

    def __init__(self, root: Schema) -> None:
        self._root = root
        self._anchors: dict[str, Schema] | None = None

    def target(self, schema: Schema) -> Schema | None:
        """What the `$ref` of a schema names; None without one. Raises SchemaError if it may not be followed."""
        if isinstance(schema, bool):
            return None
        if any(keyword in schema for keyword in _UNSUPPORTED):
            raise SchemaError("$dynamicRef and $recursiveRef are not supported", code="remote_reference")
        if "$id" in schema and schema is not self._root:
            raise SchemaError("$id is only allowed at the root", code="remote_reference")
        reference = schema.get("$ref")
        return None if reference is None else self.resolve(reference)

    def resolve(self, reference: object) -> Schema:
        """The schema that a reference names. Raises SchemaError."""
        if not isinstance(reference, str) or not reference.startswith("#"):
            raise SchemaError(
                f"{str(reference)[:200]!r}: only references within the schema (#…) are followed",
                code="remote_reference",
            )
        fragment = unquote(reference[1:])
        found = self._by_pointer(fragment) if fragment[:1] in ("", "/") else self._by_anchor(fragment)
        if not isinstance(found, (Mapping, bool)):
            raise SchemaError(f"{reference[:200]!r} names no schema")
        return found

    def _by_pointer(self, pointer: str) -> object:
        found: object = self._root
        for token in pointer.split("/")[1:]:
            key = token.replace("~1", "/").replace("~0", "~")
            if isinstance(found, Mapping):
                found = found.get(key)
            elif isinstance(found, list) and key.isascii() and key.isdigit() and int(key) < len(found):
                found = found[int(key)]
            else:
                return None
        return found

    def _by_anchor(self, name: str) -> object:
        if self._anchors is None:
            self._anchors = {}
            for part in _everything(self._root):
                if isinstance(anchor := part.get("$anchor"), str):
                    self._anchors.setdefault(anchor, part)
        return self._anchors.get(name)


def _everything(root: Schema) -> Iterator[Mapping[str, Any]]:
    """Every subschema that stands in the document, definitions included."""
    stack: list[object] = [root]
    while stack:
        part = stack.pop()
        if not isinstance(part, Mapping):
            continue
        yield part
        stack.extend(sub for _, sub in applied(part))
        for keyword in ("$defs", "definitions"):
            stack.extend(_map(part.get(keyword)).values())


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []


def _map(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}
