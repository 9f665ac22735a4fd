"""What differs between two stored definitions. Pure.

Answers `{"identical", "nodes": {"added", "removed", "changed", "reordered"}, "edges": {…}, "config", "input_schema",
"output"}`. Nodes are known by id, edges by (source, target) and their place among such. Added and removed ones are
given whole; a changed one as `{"id" or "source" and "target", "changes"}`. Changes are operations after RFC 6902
with one field more: `{"op": "add|remove|replace", "path", "old", "value"}` (`old` where there was something, `value`
where there is something), so that a reader sees both sides.
"""

from collections import Counter
from collections.abc import Hashable, Mapping, Sequence
from typing import Any

from flowforge.core.json import Json, canonical
from flowforge.core.pointers import escape

Change = dict[str, Json]


def diff(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, Json]:
    """The way from `old` to `new`: both with the fields of a stored definition."""
    found: dict[str, Json] = {
        "nodes": _rows(_nodes(old), _nodes(new)),
        "edges": _rows(_edges(old), _edges(new)),
        **{part: changes(old.get(part), new.get(part)) for part in ("config", "input_schema", "output")},
    }
    return {"identical": not any(_says_something(part) for part in found.values()), **found}


def changes(old: Json, new: Json, path: str = "") -> list[Change]:
    """Operations that make `new` of `old`. Lists that differ are replaced whole: their items have no names."""
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        return [
            change
            for key in sorted(old.keys() | new.keys())
            for change in _of_key(old, new, key, f"{path}/{escape(key)}")
        ]
    if canonical(old) == canonical(new):
        return []
    return [{"op": "replace", "path": path, "old": old, "value": new}]


def _of_key(old: Mapping[str, Any], new: Mapping[str, Any], key: str, path: str) -> list[Change]:
    if key not in old:
        return [{"op": "add", "path": path, "value": new[key]}]
    if key not in new:
        return [{"op": "remove", "path": path, "old": old[key]}]
    return changes(old[key], new[key], path)


def _nodes(definition: Mapping[str, Any]) -> dict[Hashable, dict[str, Json]]:
    return {node["id"]: node for node in definition["nodes"]}


def _edges(definition: Mapping[str, Any]) -> dict[Hashable, dict[str, Json]]:
    """Edges by ends and place: two edges may join the same nodes, for different branches."""
    seen: Counter[tuple[str, str]] = Counter()
    found: dict[Hashable, dict[str, Json]] = {}
    for edge in definition["edges"]:
        ends = (edge["source"], edge["target"])
        found[(*ends, seen[ends])] = edge
        seen[ends] += 1
    return found


def _rows(old: Mapping[Hashable, dict[str, Json]], new: Mapping[Hashable, dict[str, Json]]) -> dict[str, Json]:
    common = [key for key in new if key in old]
    return {
        "added": [row for key, row in new.items() if key not in old],
        "removed": [row for key, row in old.items() if key not in new],
        "changed": [{**_name(new[key]), "changes": found} for key in common if (found := changes(old[key], new[key]))],
        "reordered": common != [key for key in old if key in new],
    }


def _name(row: Mapping[str, Json]) -> dict[str, Json]:
    return {key: row[key] for key in ("id", "source", "target") if key in row}


def _says_something(part: Mapping[str, Json] | Sequence[Change]) -> bool:
    return any(part.values()) if isinstance(part, Mapping) else bool(part)
