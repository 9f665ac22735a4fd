"""FlowCtl's form of a definition: a list of named tasks that name what they depend on."""

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from flowforge.core.errors import Fault
from flowforge.core.json import Json
from flowforge.core.pointers import pointer_of, tokens
from flowforge.kernel.validation import shape

_NO_SLUG = re.compile(r"[^A-Za-z0-9_-]+")
_SLUG_LENGTH = 90  # leaves room for a number that makes it unique


@dataclass(frozen=True, kw_only=True)
class FromTasks:
    """Nodes and edges made of tasks: node i is task i."""

    pointer: str
    nodes: list[dict[str, Json]] = field(default_factory=list)
    edges: list[dict[str, Json]] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)  # their pointers lead into the tasks
    origins: list[tuple[int, int]] = field(default_factory=list)  # by edge: its task, its place among the dependencies

    def origin(self, pointer: str) -> str:
        """Where in the tasks stands what `pointer` names in the nodes and edges."""
        match tokens(pointer):
            case ["nodes", index, "config", *rest]:
                return self.pointer + pointer_of([index, "payload", *rest])
            case ["nodes", *rest]:
                return self.pointer + pointer_of(rest)
            case ["edges", index, *_]:
                task, place = self.origins[int(index)]
                return self.pointer + pointer_of([task, "dependencies", place])
            case ["edges"]:
                return self.pointer
            case _:
                return pointer


def from_tasks(tasks: Json, pointer: str = "/tasks") -> FromTasks:
    """Nodes and edges of FlowCtl's `[{name, type, payload, max_retries, priority, dependencies}]`.

    A node's id is a slug of the task's name; its join is `strict` where it has dependencies, because a task does not
    start after a failed one. Faults of shape, doubled names and unknown dependencies are returned, never raised.
    """
    faults, left = shape.check(shape.TASKS_SCHEMA, tasks)
    found = FromTasks(pointer=pointer, faults=[fault.under(pointer) for fault in faults])
    known = [task or {} for task in left]
    slugs = _slugs(known)
    ids: dict[str, str] = {}
    for index, (task, slug) in enumerate(zip(known, slugs, strict=True)):
        found.nodes.append(_node(task, slug))
        name = task.get("name")
        if name in ids:
            detail = f"another task is called {name!r}"
            found.faults.append(Fault(pointer=f"{pointer}/{index}/name", code="duplicate_id", detail=detail))
        elif name is not None:
            ids[name] = slug
    for index, (task, slug) in enumerate(zip(known, slugs, strict=True)):
        _connect(found, ids, index, task, slug)
    return found


def _node(task: Mapping[str, Any], slug: str) -> dict[str, Json]:
    node: dict[str, Json] = {
        "id": slug,
        "name": task.get("name"),
        "type": task.get("type"),
        "config": task.get("payload"),
    }
    retries = task.get("max_retries")
    if retries is not None and 0 <= retries <= shape.MAX_RETRIES:
        node["retry"] = {"max_attempts": int(retries) + 1}
    node["priority"] = task.get("priority")
    node["join"] = "strict" if task.get("dependencies") else None
    return {name: value for name, value in node.items() if value is not None}


def _connect(found: FromTasks, ids: Mapping[str, str], index: int, task: Mapping[str, Any], slug: str) -> None:
    for place, name in enumerate(task.get("dependencies") or ()):
        if name in ids:
            found.edges.append({"source": ids[name], "target": slug})
            found.origins.append((index, place))
        elif name is not None:
            at = f"{found.pointer}/{index}/dependencies/{place}"
            found.faults.append(Fault(pointer=at, code="unknown_node", detail=f"there is no task {name!r}"))


def _slugs(tasks: list[Mapping[str, Any]]) -> list[str]:
    counts: dict[str, int] = {}  # by slug: the last number that was given to make it unique
    return [_unique(_slug(task.get("name") or ""), counts) for task in tasks]


def _slug(name: str) -> str:
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
    return _NO_SLUG.sub("_", plain).strip("_-")[:_SLUG_LENGTH] or "task"


def _unique(slug: str, counts: dict[str, int]) -> str:
    chosen, number = slug, counts.get(slug, 1)
    while chosen in counts:
        number += 1
        chosen = f"{slug}_{number}"
    counts[slug] = number
    counts.setdefault(chosen, 1)
    return chosen
