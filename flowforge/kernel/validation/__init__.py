"""Says everything that is wrong with a client's definition document, each fault by its place; or makes a Definition."""

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

from flowforge.core.errors import Fault
from flowforge.core.json import Json
from flowforge.core.pointers import tokens
from flowforge.kernel.definition import MAX_EDGES, MAX_NODES, Definition
from flowforge.kernel.document import load
from flowforge.kernel.validation import expression_rules, graph_rules, map_rules, shape, value_rules
from flowforge.kernel.validation.draft import Catalogue, Draft, StepSpec
from flowforge.kernel.validation.shape import DEFINITION_SCHEMA
from flowforge.kernel.validation.tasks import FromTasks, from_tasks
from flowforge.kernel.validation.warnings import warnings

__all__ = [
    "DEFINITION_SCHEMA",
    "Catalogue",
    "FromTasks",
    "StepSpec",
    "Validation",
    "from_tasks",
    "load",
    "told",
    "validate",
    "validate_step",
]

MAX_FAULTS: Final = 1000  # reported at once


@dataclass(frozen=True, kw_only=True)
class Validation:
    """What `validate` found. Without errors there are a definition and the document to store."""

    errors: list[Fault] = field(default_factory=list)  # by place in the document
    warnings: list[Fault] = field(default_factory=list)
    definition: Definition | None = None
    document: dict[str, Json] | None = (
        None  # the five fields, as the client wrote them, tasks turned into nodes and edges
    )

    @property
    def is_valid(self) -> bool:
        return not self.errors


def validate(document: Json, catalogue: Catalogue, *, allowed_types: Collection[str] | None = None) -> Validation:
    """Check a definition `{nodes, edges, config, input_schema, output}`, or one with `tasks` in place of the first two.

    Finds all faults at once (at most MAX_FAULTS are told), never raises. `allowed_types`: the step types that the
    project allows; None: all.
    """
    if not isinstance(document, Mapping):
        return Validation(errors=[Fault(pointer="", code="type", detail="a definition is an object")])
    tasks = from_tasks(document["tasks"]) if document.get("tasks") is not None else None
    written = _written(document, tasks)
    errors = _conflicts(document, tasks) + _too_large(written)
    draft = Draft({}, catalogue, allowed_types)
    if not errors:
        faults, readable = shape.check(DEFINITION_SCHEMA, written)
        draft = Draft(readable, catalogue, allowed_types)
        errors = faults + _misfits(draft)
    if tasks is not None:
        errors = tasks.faults + [replace(fault, pointer=tasks.origin(fault.pointer)) for fault in errors]
    if errors:
        return Validation(errors=told(errors))
    stored = _stored(written)
    return Validation(warnings=_in_order(warnings(draft)), definition=load(stored), document=stored)


def validate_step(
    step: Mapping[str, Json],
    catalogue: Catalogue,
    *,
    allowed_types: Collection[str] | None = None,
    names: frozenset[str] = frozenset(),
) -> list[Fault]:
    """What is wrong with a step `{type, config, retry, timeout}` that stands in no graph, by pointers into it.

    Its expressions may read steps of any id, because they are not known, and `names` beside what all steps may read.
    """
    faults, readable = shape.check(DEFINITION_SCHEMA, {"nodes": [{"id": "step", **step}]})
    found = faults + _misfits(Draft(readable, catalogue, allowed_types, names=names, is_graph=False))
    return told(replace(fault, pointer=fault.pointer.removeprefix("/nodes/0")) for fault in found)


def told(faults: Iterable[Fault]) -> list[Fault]:
    """Faults as they are told: each once, by place, at most MAX_FAULTS."""
    return _in_order(_distinct(faults))[:MAX_FAULTS]


def _written(document: Mapping[str, Any], tasks: FromTasks | None) -> dict[str, Any]:
    """The document in nodes and edges."""
    written = {name: value for name, value in document.items() if name != "tasks"}
    if tasks is not None:
        written |= {"nodes": tasks.nodes, "edges": tasks.edges}
    return written


def _stored(written: Mapping[str, Any]) -> dict[str, Json]:
    """The five fields, whether given or not."""
    return {
        "nodes": written.get("nodes", []),
        "edges": written.get("edges", []),
        "config": written.get("config") or {},
        "input_schema": written.get("input_schema"),
        "output": written.get("output"),
    }


def _conflicts(document: Mapping[str, Any], tasks: FromTasks | None) -> list[Fault]:
    """Tasks take the place of nodes and edges."""
    given = [name for name in ("nodes", "edges") if document.get(name)]
    if tasks is None or not given:
        return []
    return [Fault(pointer="/tasks", code="conflict", detail=f"give either tasks or {' and '.join(given)}")]


def _too_large(written: Mapping[str, Any]) -> list[Fault]:
    """Found first: what is too large is not looked at any closer."""
    found = []
    for name, most in (("nodes", MAX_NODES), ("edges", MAX_EDGES)):
        items = written.get(name)
        if isinstance(items, list) and len(items) > most:
            detail = f"at most {most:,} {name}, not {len(items):,}"
            found.append(Fault(pointer=f"/{name}", code=f"too_many_{name}", detail=detail))
    return found


def _misfits(draft: Draft) -> list[Fault]:
    return [
        *value_rules.faults(draft),
        *map_rules.faults(draft),
        *graph_rules.faults(draft),
        *expression_rules.faults(draft),
    ]


def _distinct(faults: Iterable[Fault]) -> list[Fault]:
    """Each fault once, and none within something that cannot be read at all."""
    found = {(fault.pointer, fault.code): fault for fault in faults}
    unreadable = {pointer for pointer, code in found if code in shape.UNREADABLE}
    return [fault for fault in found.values() if not any(parent in unreadable for parent in _parents(fault.pointer))]


def _parents(pointer: str) -> Iterator[str]:
    while pointer:
        pointer = pointer.rpartition("/")[0]
        yield pointer


def _in_order(faults: Iterable[Fault]) -> list[Fault]:
    """By place: indexes as numbers."""
    return sorted(
        faults,
        key=lambda fault: [(not t.isdecimal(), int(t) if t.isdecimal() else 0, t) for t in tokens(fault.pointer)],
    )
