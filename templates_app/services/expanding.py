"""Definitions whose nodes are made by templates: what is stored as written, and what runs go by.

Templates are looked at here and never again: a definition is stored together with what its templates made of it, so
that a run depends on nothing that may change. What the kernel finds wrong with a node that was made is told where the
client can mend it: at the parameter that caused it, or at `template_id`.
"""

import uuid
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

from flowforge.core import json
from flowforge.core.errors import Fault
from flowforge.core.json import Json
from flowforge.core.pointers import pointer_of, tokens
from flowforge.kernel.definition import MAX_NODES
from flowforge.kernel.expressions import ExpressionError
from flowforge.kernel.templating import Substituter
from templates_app.models import StepTemplate
from templates_app.selectors import Shelf, Wanted, shelf_of
from templates_app.services.checking import Content
from templates_app.services.filling import Step, make_step

_MADE: Final = ("type", "config", "retry", "timeout")  # what a template gives to a node


@dataclass(frozen=True, kw_only=True, slots=True)
class Use:
    """A version of a template, and the nodes that it makes."""

    template_id: uuid.UUID
    version: int
    node_ids: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class _Node:
    """One node that names a template."""

    written: Mapping[str, Any]  # pinned, where the template was found
    made: Mapping[str, Any]  # what the kernel checks
    step: Step | None = None  # None: none could be made
    template: StepTemplate | None = None
    errors: tuple[Fault, ...] = ()  # pointers into the node
    warnings: tuple[Fault, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Expansion:
    """A document and what its templates made of it; both are the client's own where no node names one."""

    written: Mapping[str, Json]
    made: Mapping[str, Json]
    nodes: Mapping[int, _Node] = field(default_factory=dict)

    @property
    def errors(self) -> list[Fault]:
        return [fault.under(f"/nodes/{index}") for index, node in self.nodes.items() for fault in node.errors]

    @property
    def warnings(self) -> list[Fault]:
        return [fault.under(f"/nodes/{index}") for index, node in self.nodes.items() for fault in node.warnings]

    def uses(self) -> list[Use]:
        """By template and version, in the order of the nodes. Of a document without errors."""
        found: dict[tuple[uuid.UUID, int], list[str]] = {}
        for node in self.nodes.values():
            key = (uuid.UUID(node.written["template_id"]), node.written["template_version"])
            found.setdefault(key, []).append(node.written["id"])
        return [Use(template_id=key[0], version=key[1], node_ids=tuple(ids)) for key, ids in found.items()]

    def tell(self, faults: Iterable[Fault]) -> list[Fault]:
        """Faults of the document that was made, placed in the one that was written."""
        return [placed for fault in faults if (placed := self._placed(fault)) is not None]

    def _placed(self, fault: Fault) -> Fault | None:
        match tokens(fault.pointer):
            case ["nodes", index, member, *rest] if member in _MADE and int(index) in self.nodes:
                return _of_node(self.nodes[int(index)], f"/nodes/{index}", member, rest, fault)
            case _:
                return fault


def expand(document: Mapping[str, Json], project_id: uuid.UUID) -> Expansion:
    """Look up and fill in the templates that a document's nodes name: two queries, none where there are none.

    The document may be of any shape: what is no node with a template is left as it is.
    """
    named = dict(_named(document))
    if not named:
        return Expansion(written=document, made=document)
    shelf, substituter = shelf_of(project_id, filter(None, map(_wanted, named.values()))), Substituter()
    nodes = {index: _expanded(node, shelf, substituter) for index, node in named.items()}
    rows = document["nodes"]
    return Expansion(
        written={**document, "nodes": [nodes[i].written if i in nodes else row for i, row in enumerate(rows)]},
        made={**document, "nodes": [nodes[i].made if i in nodes else row for i, row in enumerate(rows)]},
        nodes=nodes,
    )


def _named(document: Mapping[str, Json]) -> Iterator[tuple[int, Mapping[str, Any]]]:
    rows = document.get("nodes")
    if not isinstance(rows, list) or len(rows) > MAX_NODES:
        return
    for index, node in enumerate(rows):
        if isinstance(node, Mapping) and node.get("template_id") is not None:
            yield index, node


def _wanted(node: Mapping[str, Any]) -> Wanted | None:
    """What a node names, if it does so in a shape that can be looked up; the kernel tells the others."""
    text, number = node["template_id"], node.get("template_version")
    is_number = number is None or (isinstance(number, int) and not isinstance(number, bool) and 0 < number < 2**31)
    return (text, number) if isinstance(text, str) and is_number else None


def _expanded(node: Mapping[str, Any], shelf: Shelf, substituter: Substituter) -> _Node:
    wanted = _wanted(node)
    if wanted is None:
        return _failed(node)
    found = shelf.find(*wanted)
    if isinstance(found, Fault):
        return _failed(node, found)
    template, version = found
    content = Content.of(version)
    errors = [*_type_faults(node, content), *_config_faults(node)]
    if errors:
        return _failed(node, *errors)
    given = (node.get("config") or {}).get("parameters") or {}
    try:
        substituter.spend(len(json.dumps(content.config)))
    except ExpressionError as error:
        return _failed(node, Fault(pointer="/template_id", code=error.code, detail=error.message))
    step = make_step(content, given, substituter)
    if step.errors:
        return _failed(node, *(fault.under("/config/parameters") for fault in step.errors))
    pinned = {**node, "template_id": str(template.pk), "template_version": version.version}
    warnings = tuple(_warnings(template, version.version))
    return _Node(written=pinned, made=_made(pinned, step), step=step, template=template, warnings=warnings)


def _made(node: Mapping[str, Any], step: Step) -> dict[str, Json]:
    """The node with what its template gives; what it says itself of `retry` and `timeout` goes before."""
    made = {**node, "type": step.content.step_type, "config": step.filled.config}
    for name, value in step.content.defaults().items():
        own = node.get(name)
        if own is None:
            made[name] = value
        elif isinstance(own, Mapping) and isinstance(value, Mapping):
            made[name] = {**value, **own}
    return made


def _failed(node: Mapping[str, Any], *errors: Fault) -> _Node:
    """What is left of a node that could not be made is checked all the same."""
    rest = {name: value for name, value in node.items() if name not in ("type", "config")}
    return _Node(written=node, made=rest, errors=errors)


def _type_faults(node: Mapping[str, Any], content: Content) -> Iterator[Fault]:
    if node.get("type", content.step_type) != content.step_type:
        detail = f"the template makes steps of the type {content.step_type!r}: leave `type` out"
        yield Fault(pointer="/type", code="contradiction", detail=detail)


def _config_faults(node: Mapping[str, Any]) -> Iterator[Fault]:
    """The config of such a node holds `parameters` and nothing else."""
    config = node.get("config")
    if config is None:
        return
    if not isinstance(config, Mapping):
        yield Fault(pointer="/config", code="type", detail="an object with `parameters` is expected")
        return
    for name in config:
        if name != "parameters":
            detail = "the config of a node with a template holds `parameters`, the rest is the template's"
            yield Fault(pointer=pointer_of(["config", name]), code="unknown_field", detail=detail)
    if not isinstance(config.get("parameters"), (Mapping, type(None))):
        yield Fault(pointer="/config/parameters", code="type", detail="an object of named values is expected")


def _warnings(template: StepTemplate, number: int) -> Iterator[Fault]:
    if template.archived_at is not None:
        detail = f"the template {template.name!r} is archived: this node keeps version {number}"
        yield Fault(pointer="/template_id", code="template_archived", detail=detail)
    elif number < template.version:
        detail = f"the template {template.name!r} has version {template.version}; without template_version it is taken"
        yield Fault(pointer="/template_version", code="template_outdated", detail=detail)


def _of_node(node: _Node, at: str, member: str, rest: list[str], fault: Fault) -> Fault | None:
    """Where a fault of what a template gave is told; None: it follows from one that is told already."""
    if node.step is None:
        return None if member in ("type", "config") else fault
    if member in ("retry", "timeout") and node.written.get(member) is not None:
        return fault
    inner = pointer_of([member, *rest])[1:]
    blamed = node.step.blame(replace(fault, pointer=pointer_of(rest))) if member == "config" else None
    place = "/template_id" if blamed is None else pointer_of(["config", "parameters", *blamed])
    return Fault(pointer=at + place, code=fault.code, detail=f"in the template's {inner}: {fault.detail}")
