"""The three forms in which clients write a definition: fields at the top, `definition`, or FlowCtl's `tasks`. Pure.

All become the parts of one document; a fault in a part is told where the client wrote it.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from flowforge.core.errors import Fault
from flowforge.core.json import Json
from workflows.constants import DEFAULT_TASK_RETRIES, DEFINITION_FIELDS

Locate = Callable[[str], str]

_GRAPH_FIELDS = ("nodes", "edges")
_FIELDS = (*DEFINITION_FIELDS, "tasks")


@dataclass(frozen=True, kw_only=True)
class Written:
    """What a client wrote of a definition."""

    parts: Mapping[str, Json]  # those of DEFINITION_FIELDS that were given, or `tasks` in place of nodes and edges
    locate: Locate = str  # from a pointer into the document to one into what was sent
    faults: Sequence[Fault] = ()  # of the form itself, pointers into what was sent

    def over(self, base: Mapping[str, Json]) -> dict[str, Json]:
        """A whole document: the parts that were given replace those of `base`."""
        replaced = _GRAPH_FIELDS if "tasks" in self.parts else ()
        return {**{name: part for name, part in base.items() if name not in replaced}, **self.parts}

    def tell(self, faults: Sequence[Fault]) -> list[Fault]:
        """Faults of the document, placed in what was sent."""
        return [Fault(pointer=self.locate(f.pointer), code=f.code, detail=f.detail) for f in faults]


def read(body: Mapping[str, Any]) -> Written:
    """The definition in a body, by whichever form it uses; a body that mixes two has faults instead of parts."""
    mixed = _mixed(body)
    if mixed:
        return Written(parts={}, faults=mixed)
    if "definition" not in body:
        return Written(parts=_parts(body))
    definition = body["definition"]
    if not isinstance(definition, Mapping):
        fault = Fault(pointer="/definition", code="type", detail="A definition is an object.")
        return Written(parts={}, faults=[fault])
    unknown = {name: part for name, part in definition.items() if name not in _FIELDS}  # the kernel names them
    return Written(parts={**_parts(definition), **unknown}, locate=lambda pointer: f"/definition{pointer}")


def _parts(written: Mapping[str, Any]) -> dict[str, Json]:
    parts = {name: written[name] for name in _FIELDS if name in written}
    if "tasks" in parts:
        parts["tasks"] = _with_retries(parts["tasks"], parts.get("config"))
    return parts


def _mixed(body: Mapping[str, Any]) -> list[Fault]:
    form = "definition" if "definition" in body else "tasks"
    rivals = _FIELDS if form == "definition" else _GRAPH_FIELDS
    return [
        Fault(pointer=f"/{name}", code="mixed_forms", detail=f"`{name}` and `{form}` exclude each other.")
        for name in rivals
        if form in body and name in body
    ]


def _with_retries(tasks: Json, config: Json) -> Json:
    """FlowCtl retries a task three times where neither it nor `config.retry_policy` says how often."""
    policy = config.get("retry_policy") if isinstance(config, Mapping) else None
    if not isinstance(tasks, list) or (isinstance(policy, Mapping) and "max_attempts" in policy):
        return tasks
    return [{"max_retries": DEFAULT_TASK_RETRIES, **task} if isinstance(task, Mapping) else task for task in tasks]
