"""What is allowed, but hardly meant."""

from collections import defaultdict
from collections.abc import Iterator
from typing import Final

from flowforge.core.errors import Fault
from flowforge.kernel.validation.draft import Draft

# Checked and kept, but nothing acts upon them so far. Whoever builds one of these takes it out here and in
# docs/definitions.md.
WITHOUT_EFFECT: Final = {
    "config": ("budget",),
    "node": ("compensate",),
}


def warnings(draft: Draft) -> Iterator[Fault]:
    """Of a document without faults."""
    if not draft.nodes:
        yield Fault(pointer="/nodes", code="empty", detail="without nodes a run completes at once and does nothing")
    yield from _constants(draft)
    yield from _missing_labels(draft)
    yield from _without_effect(draft)


def _without_effect(draft: Draft) -> Iterator[Fault]:
    """Of what the language knows, but the engine does not."""
    given = [f"/config/{name}" for name in WITHOUT_EFFECT["config"] if draft.config.get(name) is not None]
    for index, node in draft.nodes:
        given += [f"/nodes/{index}/{name}" for name in WITHOUT_EFFECT["node"] if node.get(name) is not None]
    for pointer in given:
        detail = "this is kept, but runs do not act upon it in this version"
        yield Fault(pointer=pointer, code="without_effect", detail=detail)


def _constants(draft: Draft) -> Iterator[Fault]:
    """A `when` that reads nothing always says the same."""
    for index, node in draft.nodes:
        when = node.get("when")
        if when is not None and (isinstance(when, bool) or not draft.condition_reads(when)):
            detail = "this condition reads nothing: it says the same in every run"
            yield Fault(pointer=f"/nodes/{index}/when", code="constant_condition", detail=detail)


def _missing_labels(draft: Draft) -> Iterator[Fault]:
    """A label of a switch that no edge takes; a condition with a single arm is usual."""
    taken: dict[str, set[str]] = defaultdict(set)
    for edge in draft.sound_edges:
        taken[edge.source].add("*" if edge.when is None or "{{" in edge.when else edge.when)
    for node_id, labels in taken.items():
        index, node = draft.by_id[node_id]
        given = draft.branches_of(index, node) or frozenset()
        missing = given - labels
        if missing and "*" not in labels and len(given) > 2:
            detail = f"no edge takes {', '.join(sorted(missing)[:20])}"
            yield Fault(pointer=f"/nodes/{index}", code="label_without_edge", detail=detail)
