"""What a `map` does for its items: a node within a node's config, checked as nodes are."""

from collections.abc import Iterator, Mapping
from typing import Any

from flowforge.core.errors import Fault
from flowforge.kernel.validation import shape, value_rules
from flowforge.kernel.validation.draft import Draft


def faults(draft: Draft) -> Iterator[Fault]:
    """Everything wrong with the steps of maps, except their expressions."""
    for index, node in draft.nodes:
        step = step_of(node)
        if step is not None:
            yield from _step(draft, step, f"/nodes/{index}/config/step")


def step_of(node: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """The step of a map, as it is written; None of anything else."""
    if node.get("type") != "map":
        return None
    step = (node.get("config") or {}).get("step")
    return step if isinstance(step, Mapping) else None


def _step(draft: Draft, written: Mapping[str, Any], at: str) -> Iterator[Fault]:
    found, step = shape.check(shape.ITEM_STEP, written)
    yield from (fault.under(at) for fault in found)
    if step.get("type") == "map":
        detail = "no map within a map: give the inner one a workflow of its own, and name that by workflow_id"
        yield Fault(pointer=f"{at}/type", code="nested_map", detail=detail)
        return
    yield from value_rules.node_faults(draft, step, at)
    name = step.get("type")
    if name is not None and draft.catalogue.get(name) is not None:
        yield from (fault.under(f"{at}/config") for fault in draft.catalogue.faults(name, step.get("config") or {}))
