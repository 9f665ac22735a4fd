"""Step templates: values, which may be expressions themselves, put in the place of `parameters.<name>` in a text.

    Substituter().put({"day": "{{ inputs.day }}", "n": 5}, "orders/{{ parameters.day }}?n={{ parameters.n }}")
    # "orders/{{ inputs.day }}?n=5"

Nothing is evaluated: what comes out is a text as an author could have written it, which means what the first meant.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import orjson
from jinja2 import nodes

from flowforge.core.json import Json
from flowforge.kernel.expressions.errors import ExpressionError, budget_error
from flowforge.kernel.expressions.parser import Source, parse, split
from flowforge.kernel.expressions.references import Key, path_of
from flowforge.kernel.expressions.values import lookup

ROOT: Final = "parameters"
MAX_BUILT: Final = 5 * 1024 * 1024  # bytes that one substituter makes: as much as a definition may have
_MEMBER: Final = re.compile(rf"{ROOT}\s*\.\s*([^\W\d]\w*)")
_QUOTED: Final = str.maketrans(
    {"\\": "\\\\", '"': '\\"', "\n": "\\n", "\r": "\\r", "\t": "\\t", "\b": "\\b", "\f": "\\f"}
)


@dataclass(frozen=True, slots=True)
class Code:
    """An expression, without its braces."""

    text: str


@dataclass(frozen=True, slots=True)
class _Parsed:
    source: Source
    path: tuple[Key, ...] | None  # it is a lookup in the parameters and nothing else
    places: tuple[int, ...]  # where `parameters` stands in the source's text
    keys: frozenset[str] | None  # which of them are read; None: one of them is computed


class Substituter:
    """Keeps what it parsed, and counts what it builds: one for all the nodes of a definition."""

    def __init__(self, *, room: int = MAX_BUILT) -> None:
        self._room = room
        self._parsed: dict[str, list[str | _Parsed]] = {}

    def put(self, values: Mapping[str, Json], text: str) -> Json:
        """What `text` is with the values in it; a text that is one lookup becomes the value, whatever its type.

        Raises ExpressionError: `expression_syntax`, `expression_undefined` for a value that isn't there and is not
        tested for, `expression_budget` beyond MAX_BUILT.
        """
        parts = self._parts(text)
        found = [part for part in parts if isinstance(part, _Parsed)]
        if not any(part.places for part in found):
            return text
        made = [part if isinstance(part, str) else self._one(values, part) for part in parts]
        if len(found) == 1 and not any(isinstance(part, str) and part.strip() for part in parts):
            [value] = [new for part, new in zip(parts, made, strict=True) if isinstance(part, _Parsed)]
            return self._paid(_braced(value.text)) if isinstance(value, Code) else value
        return self._paid(_joined(_flat(parts, made)))

    def reads(self, text: str) -> frozenset[str] | None:
        """The parameters that a text names; None where one of them is computed. Raises ExpressionError."""
        keys = [part.keys for part in self._parts(text) if isinstance(part, _Parsed)]
        known = [found for found in keys if found is not None]
        return None if len(known) < len(keys) else frozenset[str]().union(*known)

    def spend(self, size: int) -> None:
        """Count what is built beside the values. Raises ExpressionError `expression_budget`."""
        self._room -= size
        if self._room < 0:
            raise budget_error(f"with its parameters it is larger than {MAX_BUILT // 1024 // 1024} MiB")

    def _parts(self, text: str) -> list[str | _Parsed]:
        if text not in self._parsed:
            self._parsed[text] = [part if isinstance(part, str) else _parsed(part) for part in split(text)]
        return self._parsed[text]

    def _one(self, values: Mapping[str, Json], part: _Parsed) -> Json | Code:
        """A value, or an expression where it is one."""
        if not part.places:
            return Code(part.source.text)
        if part.path:
            try:
                value = _look_up(values, part.path)
            except KeyError:
                name = ".".join(map(str, (ROOT, *part.path)))
                raise ExpressionError("expression_undefined", f"{name} is not given, and has no default") from None
            if value is not _COMPUTED:
                self.spend(len(orjson.dumps(value)))
                return value
        return Code(self._rewritten(values, part))

    def _rewritten(self, values: Mapping[str, Json], part: _Parsed) -> str:
        text, made, position = part.source.text, list[str](), 0
        for place in part.places:
            member = _MEMBER.match(text, place)
            if member is None:
                value, end = dict(values), place + len(ROOT)
            elif member[1] in values:
                value, end = values[member[1]], member.end()
            else:  # it isn't there, and what is written around it may well ask whether it is
                value, end = {}, place + len(ROOT)
            made += [text[position:place], self._paid(_literal(value))]
            position = end
        new = "".join((*made, text[position:]))
        parse(Source(new, 0))  # with its values it may be too long or too deep
        return new

    def _paid(self, text: str) -> str:
        self.spend(len(text))
        return text


_COMPUTED: Final = object()  # what is looked up is within something that is known in a run alone


def _parsed(source: Source) -> _Parsed:
    tree = parse(source)
    places = tuple(sorted(name.lineno - source.offset for name in _names(tree)))
    root, path = path_of(tree)
    direct = isinstance(root, nodes.Name) and root.name == ROOT
    paths = _paths(tree)
    keys = frozenset(paths.values()) if len(paths) == len(places) else None
    return _Parsed(source, path if direct else None, places, keys)


def _names(tree: nodes.Expr) -> list[nodes.Name]:
    names = [tree] if isinstance(tree, nodes.Name) else []
    return [name for name in (*names, *tree.find_all(nodes.Name)) if name.name == ROOT]


def _paths(tree: nodes.Expr) -> dict[int, str]:
    """Place of each `parameters` that is followed by a written key: that key."""
    found = {}
    lookups = [tree, *tree.find_all((nodes.Getattr, nodes.Getitem))]
    for chain in lookups:
        root, path = path_of(chain)
        if isinstance(root, nodes.Name) and root.name == ROOT and path and isinstance(path[0], str):
            found[root.lineno] = path[0]
    return found


def _look_up(values: Mapping[str, Json], path: tuple[Key, ...]) -> Any:
    found: Any = values
    for key in path:
        if isinstance(found, str) and "{{" in found:
            return _COMPUTED
        found = lookup(found, key)
    return found


def _flat(parts: list[str | _Parsed], made: list[Any]) -> list[str | Code]:
    """Values as they stand within a text: null is nothing, text is itself, all else is JSON."""
    flat: list[str | Code] = []
    for part, new in zip(parts, made, strict=True):
        if isinstance(part, str) or isinstance(new, Code):
            flat.append(new)
        elif isinstance(new, str):
            flat += _pieces(new) if not _is_whole(new) else [Code(_source(new))]
        elif new is not None:
            flat.append(Code(_literal(new)) if _holds_code(new) else orjson.dumps(new).decode())
    return flat


def _joined(parts: list[str | Code]) -> str:
    """The text of these parts, which stays a text even where a single expression is left."""
    merged: list[str | Code] = []
    for part in parts:
        if isinstance(part, str) and merged and isinstance(merged[-1], str):
            merged[-1] += part
        else:
            merged.append(part)
    codes = [part for part in merged if isinstance(part, Code)]
    if len(codes) == 1 and not any(isinstance(part, str) and part.strip() for part in merged):
        return _braced(" ~ ".join(['""', *map(_operand, merged)]))
    return "".join(_piece(part) for part in merged)


def _piece(part: str | Code) -> str:
    """A piece of a text with expressions; braces that are meant literally are written as an expression."""
    if isinstance(part, Code):
        return _braced(part.text)
    return _braced(_quoted(part)) if "{{" in part or part.endswith("{") else part


def _braced(code: str) -> str:
    return f"{{{{ {code.strip()} }}}}"


def _pieces(text: str) -> list[str | Code]:
    if "{{" not in text:
        return [text]
    return [part if isinstance(part, str) else Code(part.text) for part in split(text)]


def _is_whole(text: str) -> bool:
    """Is the text one expression and nothing else?"""
    pieces = _pieces(text)
    return sum(isinstance(p, Code) for p in pieces) == 1 and not any(isinstance(p, str) and p.strip() for p in pieces)


def _source(text: str) -> str:
    return next(piece.text for piece in _pieces(text) if isinstance(piece, Code))


def _holds_code(value: Json) -> bool:
    if isinstance(value, str):
        return "{{" in value
    if isinstance(value, Mapping):
        return any(map(_holds_code, value.values()))
    return isinstance(value, list) and any(map(_holds_code, value))


def _literal(value: Json) -> str:
    """A JSON value, whose texts may hold expressions, as an expression of its own."""
    if isinstance(value, str):
        if "{{" not in value:
            return _quoted(value)
        return f"({_source(value)})" if _is_whole(value) else f"({' ~ '.join(map(_operand, _pieces(value)))})"
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{_quoted(key)}: {_literal(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_literal, value)) + "]"
    if isinstance(value, bool) or value is None:
        return {True: "true", False: "false", None: "none"}[value]
    return f"({value!r})"  # in brackets: what follows may be a lookup, what stands before it a power


def _operand(piece: str | Code) -> str:
    return _quoted(piece) if isinstance(piece, str) else f"({piece.text})"


def _quoted(text: str) -> str:
    return f'"{text.translate(_QUOTED)}"'
