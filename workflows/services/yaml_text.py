"""YAML as FlowForge reads and writes it: the core schema of YAML 1.2 (`on` and `no` are text, dates too).

PyYAML's loaders speak 1.1, whose `on: failure` would be `{true: "failure"}`, and recurse in C, so that deep nesting
ends the process. Here libyaml's events are read without recursion into plain data; what flowforge.core.json refuses
is refused here too, and so are duplicate keys, alias bombs and tags beyond JSON's.
"""

import json as stdlib_json
import re
from collections.abc import Callable, Iterable
from typing import Any, Final

import yaml
from yaml.events import (
    AliasEvent,
    CollectionEndEvent,
    DocumentStartEvent,
    MappingStartEvent,
    NodeEvent,
    ScalarEvent,
    SequenceStartEvent,
)

from flowforge.core import json
from flowforge.core.json import MAX_DEPTH, Json, JsonError

MAX_VALUES: Final = 500_000  # of a document with its aliases written out
TEXT_PER_VALUE: Final = 32  # characters of a text that count as one more value: a long one can be aliased too

_TAG: Final = "tag:yaml.org,2002:"
_INT: Final = re.compile(r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+")
_FLOAT: Final = re.compile(
    r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)"
)
_NULLS: Final = ("", "~", "null", "Null", "NULL")
_BOOLS: Final = {word: word.lower() == "true" for word in ("true", "True", "TRUE", "false", "False", "FALSE")}
_ODD_BREAKS: Final = frozenset("\r\x85\u2028\u2029")  # unquoted, YAML 1.1 would read them as line breaks
_COLLECTION_TAGS: Final = (None, "!", f"{_TAG}map", f"{_TAG}seq")


def load(raw: bytes) -> Json:
    """Read one YAML document. Raises JsonError, saying where and why, for people."""
    try:
        decoded = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise JsonError(f"not UTF-8 at byte {error.start}") from None
    try:
        value = _Builder().build(yaml.parse(decoded, Loader=yaml.CSafeLoader))
    except yaml.YAMLError as error:
        raise JsonError(_one_line(error)) from None
    return json.loads(stdlib_json.dumps(value).encode())


def dump(value: Json) -> str:
    """Block style, in the given order of keys."""
    return yaml.dump(value, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=110)


class _Builder:
    """Plain data from the events of one document."""

    def __init__(self) -> None:
        self._open: list[_Collection] = []
        self._anchors: dict[str, tuple[Json, int]] = {}  # value, how many values it stands for
        self._root = _Collection(is_mapping=False, anchor=None)

    def build(self, events: Iterable[Any]) -> Json:
        for event in events:
            match event:
                case DocumentStartEvent() if self._root.size > 1:
                    raise JsonError(f"a second document{_place(event)}")
                case CollectionEndEvent():
                    self._close()
                case NodeEvent():
                    self._node(event)
        return self._root.items[0] if self._root.items else None

    def _node(self, event: NodeEvent) -> None:
        match event:
            case AliasEvent():
                if event.anchor not in self._anchors:
                    raise JsonError(f"alias to nothing finished yet{_place(event)}")
                self._add(*self._anchors[event.anchor], event)
            case ScalarEvent():
                value, size = _scalar(event), 1 + len(event.value) // TEXT_PER_VALUE
                if event.anchor:
                    self._anchors[event.anchor] = (value, size)
                self._add(value, size, event)
            case MappingStartEvent() | SequenceStartEvent():
                if event.tag not in _COLLECTION_TAGS:
                    raise JsonError(f"unknown tag {event.tag!r}{_place(event)}")
                if len(self._open) >= MAX_DEPTH:
                    raise JsonError(f"nested deeper than {MAX_DEPTH}{_place(event)}")
                self._open.append(
                    _Collection(is_mapping=isinstance(event, MappingStartEvent), anchor=event.anchor, start=event)
                )

    def _close(self) -> None:
        done = self._open.pop()
        value = done.value
        if done.anchor:
            self._anchors[done.anchor] = (value, done.size)
        self._add(value, done.size, done.start)

    def _add(self, value: Json, size: int, event: Any) -> None:
        parent = self._open[-1] if self._open else self._root
        parent.size += size
        if parent.size > MAX_VALUES:
            raise JsonError(f"more than {MAX_VALUES} values, with aliases written out{_place(event)}")
        if parent.expects_key:
            parent.check_key(value, event)
        parent.items.append(value)


class _Collection:
    """A mapping or sequence that is being read; a mapping's keys and values alternate in `items`."""

    def __init__(self, *, is_mapping: bool, anchor: str | None, start: Any = None) -> None:
        self.items: list[Json] = []
        self.size = 1
        self.anchor = anchor
        self.start = start
        self._is_mapping = is_mapping
        self._keys: set[str] = set()

    @property
    def expects_key(self) -> bool:
        return self._is_mapping and len(self.items) % 2 == 0

    @property
    def value(self) -> Json:
        if not self._is_mapping:
            return self.items
        return dict(zip(self.items[::2], self.items[1::2], strict=True))

    def check_key(self, key: Json, event: Any) -> None:
        if not isinstance(key, str):
            raise JsonError(f"keys must be text{_place(event)}")
        if key in self._keys:
            raise JsonError(f"duplicate key {key!r}{_place(event)}")
        self._keys.add(key)


def _scalar(event: ScalarEvent) -> Json:
    """The value of a scalar after YAML 1.2.2, section 10.3.2; an explicit tag must be one of that schema."""
    text: str = event.value
    if event.tag is None:
        return text if not event.implicit[0] else _plain(text)
    read = _READ_AS.get(event.tag)
    if read is None:
        raise JsonError(f"unknown tag {event.tag!r}{_place(event)}")
    try:
        return read(text)
    except (KeyError, ValueError):
        raise JsonError(f"{text[:40]!r} is not {event.tag.removeprefix(_TAG)}{_place(event)}") from None


def _plain(text: str) -> Json:
    if text in _NULLS:
        return None
    if text in _BOOLS:
        return _BOOLS[text]
    if _INT.fullmatch(text):
        return _integer(text)
    return _float(text) if _FLOAT.fullmatch(text) else text


def _integer(text: str) -> int:
    if len(text) > 24:
        raise JsonError(f"integer beyond 64 bits: {text[:32]}")
    return int(text, 0) if text[:2] in ("0o", "0x") else int(text)


def _float(text: str) -> float:
    return float(text.replace(".", "", 1) if text.lstrip("+-").lower() in (".inf", ".nan") else text)


_READ_AS: Final[dict[str, Callable[[str], Json]]] = {
    "!": str,
    f"{_TAG}str": str,
    f"{_TAG}int": _integer,
    f"{_TAG}float": _float,
    f"{_TAG}bool": _BOOLS.__getitem__,
    f"{_TAG}null": lambda _: None,
}


class _Dumper(yaml.CSafeDumper):
    """Quotes what either 1.1 or 1.2 would read as something else than text; no aliases."""

    def ignore_aliases(self, _data: Any) -> bool:
        return True


def _represent_text(dumper: yaml.CSafeDumper, value: str) -> yaml.ScalarNode:
    """Several lines as a block, so that code and instructions stay readable."""
    style = "|" if "\n" in value else None
    if not _ODD_BREAKS.isdisjoint(value):
        style = '"'
    return dumper.represent_scalar(f"{_TAG}str", value, style=style)


_Dumper.add_representer(str, _represent_text)
for _name, _pattern in (("int", _INT), ("float", _FLOAT)):
    _Dumper.add_implicit_resolver(f"{_TAG}{_name}", re.compile(f"^(?:{_pattern.pattern})$"), list("-+0123456789."))


def _place(event: Any) -> str:
    return f" at line {event.start_mark.line + 1}, column {event.start_mark.column + 1}"


def _one_line(error: yaml.YAMLError) -> str:
    """`problem at line 3, column 5`."""
    mark = getattr(error, "problem_mark", None)
    problem = getattr(error, "problem", None) or str(error).splitlines()[0]
    return f"{problem} at line {mark.line + 1}, column {mark.column + 1}" if mark else str(problem)
