"""Expressions: do they parse, and do they read only what there is by then?"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from flowforge.core.errors import Fault
from flowforge.core.pointers import pointer_of
from flowforge.kernel.expressions import ExpressionError, Reference
from flowforge.kernel.validation.draft import Draft, strings, suggestion

BEFORE_RUN: Final = frozenset({"inputs", "run", "project", "now"})
IN_RUN: Final = BEFORE_RUN | {"steps"}
IN_STEP: Final = IN_RUN | {"credentials"}
# members of a type's config that are conditions, evaluated when something happens: braces or not, over these names
LATER: Final[Mapping[str, Mapping[str, frozenset[str]]]] = {
    "wait_event": {"match": frozenset({"payload", "event", "inputs", "steps"})},
}
OF_ITEM: Final = frozenset({"item", "index"})  # what a map does for an item reads these too
EVERYWHERE: Final = IN_STEP | OF_ITEM | {"payload", "event"}
STEP_MEMBERS: Final = frozenset({"output", "status", "error"})


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where expressions stand, and what they may read there."""

    roots: frozenset[str]
    is_before: Callable[[str], bool] = lambda _: True  # whether a step has always settled by then, if it ever does
    reader: str = ""  # the node that reads, for the message


def faults(draft: Draft) -> Iterator[Fault]:
    """Everything wrong with the document's expressions."""
    for index, node in draft.nodes:
        yield from _node(draft, index, node)
    for edge in draft.sound_edges:
        if edge.when is not None and "{{" in edge.when:
            place = _place(draft, IN_RUN, edge.source, itself=True)
            yield from _condition(draft, place, edge.when, f"/edges/{edge.index}/when")
    for name in ("concurrency", "rate_limit", "debounce", "on_failure"):
        roots = IN_RUN if name == "on_failure" else BEFORE_RUN
        yield from _value(draft, Place(roots=roots), draft.config.get(name), f"/config/{name}")
    yield from _value(draft, Place(roots=IN_RUN), draft.document.get("output"), "/output")


def _node(draft: Draft, index: int, node: Mapping[str, Any]) -> Iterator[Fault]:
    at, node_id = f"/nodes/{index}", node.get("id", "")
    if draft.by_id.get(node_id, (index,))[0] != index:
        node_id = ""  # a double: its edges belong to the first
    yield from _config(draft, _place(draft, IN_STEP | draft.names, node_id), node, f"{at}/config")
    if isinstance(node.get("when"), str):
        yield from _condition(draft, _place(draft, IN_RUN, node_id), node["when"], f"{at}/when")
    yield from _value(draft, _place(draft, IN_RUN, node_id), node.get("cache"), f"{at}/cache")
    undo = node.get("compensate") or {}
    place = _place(draft, IN_STEP, node_id, itself=True)
    yield from _value(draft, place, undo.get("config"), f"{at}/compensate/config")


def _config(draft: Draft, place: Place, node: Mapping[str, Any], at: str) -> Iterator[Fault]:
    """A map's list is read before there is an item; all else of its config once for each."""
    config = node.get("config")
    if node.get("type") != "map" or not isinstance(config, Mapping):
        yield from _members(draft, place, node, at)
        return
    item = replace(place, roots=place.roots | OF_ITEM)
    for name, value in config.items():
        if name != "step" or not isinstance(value, Mapping):
            yield from _value(draft, place if name == "items" else item, value, at + pointer_of([name]))
            continue
        yield from _members(draft, item, value, f"{at}/step/config")
        rest = {member: part for member, part in value.items() if member != "config"}
        yield from _value(draft, replace(item, roots=item.roots - {"credentials"}), rest, f"{at}/step")


def _members(draft: Draft, place: Place, node: Mapping[str, Any], at: str) -> Iterator[Fault]:
    """The config of a step; what is evaluated later has names of its own."""
    config, later = node.get("config"), LATER.get(str(node.get("type")), {})
    if later and isinstance(config, Mapping):
        for name in later.keys() & config.keys():
            if isinstance(config[name], str):
                yield from _condition(
                    draft, replace(place, roots=later[name] | draft.names), config[name], f"{at}/{name}"
                )
        config = {name: value for name, value in config.items() if name not in later}
    yield from _value(draft, place, config, at)


def _place(draft: Draft, roots: frozenset[str], node_id: str, *, itself: bool = False) -> Place:
    """Where what settled before the node `node_id` can be read, and with `itself` the node too."""

    def is_before(step: str) -> bool:
        # in a graph with a cycle nothing is before anything: the cycle is reported, this would only repeat it
        if node_id not in draft.by_id or not draft.is_acyclic or (itself and step == node_id):
            return True
        return draft.upstream.is_upstream(step, node_id)

    return Place(roots=roots, is_before=is_before, reader=node_id)


def _value(draft: Draft, place: Place, value: Any, pointer: str) -> Iterator[Fault]:
    for at, text in strings(value, pointer):
        if "{{" in text:
            yield from _expression(draft, place, draft.reads, text, at)


def _condition(draft: Draft, place: Place, text: str, at: str) -> Iterator[Fault]:
    return _expression(draft, place, draft.condition_reads, text, at)


def _expression(
    draft: Draft, place: Place, reads: Callable[[str], list[Reference]], text: str, at: str
) -> Iterator[Fault]:
    try:
        references = reads(text)
    except ExpressionError as error:
        where = "" if error.position is None else f" (at character {error.position})"
        yield Fault(pointer=at, code=error.code, detail=f"{error.message}{where}")
        return
    for reference in references:
        if reference.root not in place.roots:
            yield Fault(pointer=at, code="unknown_name", detail=_unknown_name(reference.root, place.roots))
        elif reference.root == "steps" and reference.name is not None:
            yield from _step(draft, place, reference, reference.name, at)
        elif reference.root == "credentials" and reference.name is None:
            detail = "say which credential, as credentials.<name>.<field>: the name is written down, not computed"
            yield Fault(pointer=at, code="computed_credential", detail=detail)


def _unknown_name(root: str, roots: frozenset[str]) -> str:
    if root in EVERYWHERE:
        return f"{root!r} cannot be read here; there are {', '.join(sorted(roots))}"
    return f"there is no name {root[:100]!r}{suggestion(root, roots)}; there are {', '.join(sorted(roots))}"


def _step(draft: Draft, place: Place, reference: Reference, step: str, at: str) -> Iterator[Fault]:
    if step not in draft.by_id and draft.is_graph:
        detail = f"there is no step {step[:100]!r}{suggestion(step, draft.by_id)}"
        yield Fault(pointer=at, code="unknown_step", detail=detail)
    elif draft.is_graph and not place.is_before(step):
        detail = f"{step!r} is not upstream of {place.reader!r}: nothing of it can be read there"
        yield Fault(pointer=at, code="not_upstream", detail=detail)
    if reference.member is not None and reference.member not in STEP_MEMBERS:
        detail = f"a step has output, status and error, not {reference.member[:100]!r}"
        yield Fault(pointer=at, code="unknown_name", detail=detail)
