"""Nodes and edges: do they fit together?"""

from collections.abc import Iterator

from flowforge.core.errors import Fault
from flowforge.kernel.graph import find_cycles
from flowforge.kernel.validation.draft import Draft, DraftEdge, suggestion

MAX_CYCLES = 10  # named at once; more are found when these are gone


def faults(draft: Draft) -> Iterator[Fault]:
    """Everything wrong with ids and edges."""
    yield from _doubles(draft)
    for edge in draft.edges:
        yield from _ends(draft, edge)
    yield from _double_edges(draft)
    yield from _cycles(draft)
    for edge in draft.sound_edges:
        yield from _label(draft, edge)


def _doubles(draft: Draft) -> Iterator[Fault]:
    for index, node in draft.nodes:
        if "id" in node and draft.by_id[node["id"]][0] != index:
            detail = f"/nodes/{draft.by_id[node['id']][0]} has the id {node['id']!r} already"
            yield Fault(pointer=f"/nodes/{index}/id", code="duplicate_id", detail=detail)


def _ends(draft: Draft, edge: DraftEdge) -> Iterator[Fault]:
    for end, name in (("source", edge.source), ("target", edge.target)):
        if name not in draft.by_id:
            detail = f"there is no node {name[:100]!r}{suggestion(name, draft.by_id)}"
            yield Fault(pointer=f"/edges/{edge.index}/{end}", code="unknown_node", detail=detail)
    if edge.source == edge.target and edge.source in draft.by_id:
        detail = f"{edge.source!r} cannot follow itself"
        yield Fault(pointer=f"/edges/{edge.index}", code="self_loop", detail=detail)


def _double_edges(draft: Draft) -> Iterator[Fault]:
    seen: dict[tuple[str, str, str, str | None], int] = {}
    for edge in draft.edges:
        first = seen.setdefault((edge.source, edge.target, edge.on, edge.when), edge.index)
        if first != edge.index:
            detail = f"/edges/{first} says the same"
            yield Fault(pointer=f"/edges/{edge.index}", code="duplicate_edge", detail=detail)


def _cycles(draft: Draft) -> Iterator[Fault]:
    if draft.is_acyclic:
        return
    indexes = {(edge.source, edge.target): edge.index for edge in reversed(draft.sound_edges)}
    for cycle in find_cycles(list(draft.by_id), draft.pairs, MAX_CYCLES):
        closing = indexes[cycle[-1], cycle[0]]
        shown = cycle if len(cycle) <= 12 else [*cycle[:6], "…", *cycle[-5:]]
        detail = f"a cycle: {' → '.join([*shown, cycle[0]])}"
        yield Fault(pointer=f"/edges/{closing}", code="cycle", detail=detail)


def _label(draft: Draft, edge: DraftEdge) -> Iterator[Fault]:
    """A `when` that is no expression has to be a label that the source can give."""
    if edge.when is None or "{{" in edge.when:
        return
    labels = draft.branches_of(*draft.by_id[edge.source])
    if labels is None:
        detail = f"{edge.source!r} gives no branch label; write an expression: {{{{ … }}}}"
    elif labels and edge.when not in labels:
        detail = f"{edge.source!r} gives {', '.join(sorted(labels)[:20])}, never {edge.when[:100]!r}"
    else:
        return
    yield Fault(pointer=f"/edges/{edge.index}/when", code="unknown_label", detail=detail)
