"""Going over the steps that a document holds, wherever they stand."""

from collections.abc import Iterator, Mapping
from typing import Any


def steps(document: Mapping[str, Any]) -> Iterator[tuple[Mapping[str, Any], str]]:
    """(node, pointer of its config) of each node, of what maps do for an item, and of what undoes a node."""
    for index, node in enumerate(document["nodes"]):
        at = f"/nodes/{index}"
        yield node, f"{at}/config"
        inner = (node.get("config") or {}).get("step")
        if node.get("type") == "map" and isinstance(inner, Mapping):
            yield inner, f"{at}/config/step/config"
        if isinstance(node.get("compensate"), Mapping):
            yield node["compensate"], f"{at}/compensate/config"
