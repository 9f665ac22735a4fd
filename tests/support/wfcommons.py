"""Real workflow graphs: execution traces in WfFormat 1.5 (WfCommons), as definitions.

They are not part of this repository. WFINSTANCES names a folder of them; without it, a folder beside the checkout is
looked at, and what reads them does without when it is not there.
"""

import json
import os
import re
from pathlib import Path
from typing import Any

FOLDER = Path(os.environ.get("WFINSTANCES", Path(__file__).resolve().parents[3] / "shared" / "data" / "wfinstances"))


def instances() -> list[Path]:
    """The traces that are here; none is no fault."""
    return sorted(FOLDER.glob("*.json"))


def definition(path: Path, step_type: str, **config: Any) -> dict[str, Any]:
    """A node a task, an edge a parent-child pair; every node of `step_type`."""
    tasks = _workflow(path)["specification"]["tasks"]
    names = _names(tasks)
    return {
        "nodes": [{"id": names[task["id"]], "type": step_type, "config": config} for task in tasks],
        "edges": [
            {"source": names[task["id"]], "target": names[child]} for task in tasks for child in task["children"]
        ],
        "config": {"max_concurrency": 1000},
    }


def runtimes(path: Path) -> dict[str, float]:
    """How many seconds each task took when it was traced, by the node's id."""
    workflow = _workflow(path)
    names = _names(workflow["specification"]["tasks"])
    return {names[task["id"]]: float(task["runtimeInSeconds"]) for task in workflow["execution"]["tasks"]}


def _workflow(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(path.read_text())["workflow"]
    return found


def _names(tasks: list[dict[str, Any]]) -> dict[str, str]:
    """A node's id for each task's."""
    return {
        task["id"]: f"t{place}_{re.sub(r'[^A-Za-z0-9_]', '_', task['name'])[:60]}" for place, task in enumerate(tasks)
    }
