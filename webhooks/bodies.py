"""What is posted: `{"event", "timestamp", "data"}`, with names for people beside ids. Built once, sent as it is."""

import uuid
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from flowforge.core import json
from flowforge.core.clock import isoformat
from flowforge.core.recent import Recent
from flowforge.events.sinks import Happening
from flowforge.kernel.definition import Node
from workflows.models import Workflow
from workflows.selectors import definition_of

_names: Recent[str] = Recent(ttl_seconds=5.0)  # of workflows: many events of one follow each other

_STEP_STATUS: Final = {"started": "running"}  # else the event's last part is the status
_NOT_TOLD: Final = ("worker",)  # whose process it was is nobody's business outside


def text_of(name: str, at: datetime, data: Mapping[str, Any]) -> str:
    """The body of an event that is told under this name."""
    return json.text({"event": name, "timestamp": isoformat(at), "data": data})


def data_of(project_id: uuid.UUID, happening: Happening) -> dict[str, Any]:
    """What is told of it: its own data, and for a run's transitions of which run, workflow and step."""
    told = {name: value for name, value in happening.data.items() if name not in _NOT_TOLD}
    source = happening.source
    if source is None:
        return told
    found: dict[str, Any] = {
        "workflow_id": source.workflow_id,
        "workflow_name": _name_of(source.workflow_id),
        "run_id": source.run_id,
        "project_id": project_id,
    }
    if happening.step_id is not None:
        node = _node(source.version_id, str(told.get("node_id", "")))
        kind = happening.event.partition(".")[2]
        found |= {
            "task_id": happening.step_id,
            "task_name": node.name if node is not None and node.name else told.get("node_id", ""),
            "type": "" if node is None else node.type,
            "status": _STEP_STATUS.get(kind, kind),
        }
    return found | told


def _name_of(workflow_id: uuid.UUID) -> str:
    rows = Workflow.objects.filter(pk=workflow_id).values_list("name", flat=True)
    return _names.get(workflow_id, lambda: rows.first() or "")


def _node(version_id: uuid.UUID, node_id: str) -> Node | None:
    return definition_of(version_id).by_id.get(node_id)
