"""The workflows that a definition starts: `workflow` and `map` steps, and `config.on_failure`."""

import uuid
from collections.abc import Iterator, Mapping
from typing import Any

from flowforge.core.errors import Fault
from flowforge.core.json import Json
from flowforge.projects.models import Project
from workflows.models import Workflow

_STARTERS = frozenset({"workflow", "map"})


def faults(document: Mapping[str, Json], project: Project) -> list[Fault]:
    """Those ids in a valid document that are of no workflow of the project; what an expression gives is seen later."""
    named = [(pointer, text) for pointer, text in _references(document) if "{{" not in text]
    ids = {text: _id(text) for _, text in named}
    wanted = [found for found in ids.values() if found is not None]
    known = set()
    if wanted:
        known = set(Workflow.objects.filter(project=project, id__in=wanted).order_by().values_list("id", flat=True))
    return [
        Fault(pointer=pointer, code="unknown_workflow", detail="the project has no workflow of this id")
        for pointer, text in named
        if ids[text] not in known
    ]


def _references(document: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """(pointer, text) of each workflow id."""
    for index, node in enumerate(document["nodes"]):
        yield from _of_node(node, f"/nodes/{index}")
    handler = document["config"].get("on_failure")
    if handler is not None:
        yield "/config/on_failure/workflow_id", handler["workflow_id"]


def _of_node(node: Mapping[str, Any], at: str) -> Iterator[tuple[str, str]]:
    config = node.get("config") or {}
    if node.get("type") not in _STARTERS:
        return
    if "workflow_id" in config:
        yield f"{at}/config/workflow_id", config["workflow_id"]
    if isinstance(config.get("step"), Mapping):
        yield from _of_node(config["step"], f"{at}/config/step")


def _id(text: str) -> uuid.UUID | None:
    try:
        return uuid.UUID(text)
    except ValueError:
        return None
