"""`map`: the same step for every item of a list."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any, ClassVar, Final

from flowforge.core.errors import Fault
from flowforge.steps.base import BaseStep, Completed, Context, Failed, Kind, Outcome, Waiting
from flowforge.steps.values import holds_expression

MAX_ITEMS: Final = 10_000
WAITS_FOR_ITEMS: Final = "items"


class Map(BaseStep):
    """Says what it goes over; the engine does `step` for each item, or starts a run of `workflow_id`."""

    name: ClassVar[str] = "map"
    title: ClassVar[str] = "Map"
    description: ClassVar[str] = "Does a step, or runs a workflow, for every item of a list."
    kind: ClassVar[Kind] = "pure"  # it only gives the list: what is done for an item is a step of its own
    unrendered: ClassVar[frozenset[str]] = frozenset({"step", "workflow_id", "inputs"})  # for each item
    config_schema: ClassVar[Mapping[str, Any]] = {
        "type": "object",
        "required": ["items"],
        "additionalProperties": False,
        "properties": {
            "items": {
                "type": "array",
                "maxItems": MAX_ITEMS,
                "title": "Items",
                "description": "A list, or an expression that gives one.",
            },
            "step": {
                "type": "object",
                "title": "Step",
                "description": "What is done for each item: a node without edges; its config may use item and index.",
            },
            "workflow_id": {
                "type": "string",
                "title": "Workflow",
                "description": "In place of step: a workflow of the same project, run once for each item.",
            },
            "inputs": {
                "type": "object",
                "title": "Inputs",
                "description": "Of each run of workflow_id; the item itself if left out.",
            },
            "max_concurrency": {
                "type": "integer",
                "minimum": 1,
                "maximum": MAX_ITEMS,
                "title": "Items at a time",
                "description": "Within the run's own max_concurrency, which it is if left out.",
            },
            "on_error": {
                "type": "string",
                "enum": ["fail", "continue"],
                "default": "fail",
                "title": "On error",
                "description": "continue: an item that fails is told among the errors, the others go on.",
            },
        },
    }
    output_schema: ClassVar[Mapping[str, Any]] = {
        "type": "object",
        "required": ["results", "errors"],
        "properties": {
            "results": {"type": "array", "description": "In the order of the items; null where one failed."},
            "errors": {
                "type": "array",
                "items": {
                    "type": "object",
                    "required": ["index", "error"],
                    "properties": {"index": {"type": "integer"}, "error": {"type": "object"}},
                },
            },
        },
    }

    def check(self, config: Mapping[str, Any]) -> list[Fault]:
        found = [
            Fault(pointer=f"/{field}", code="not_a_constant", detail="this is decided when the workflow is saved")
            for field in ("step", "max_concurrency", "on_error")
            if holds_expression(config.get(field))
        ]
        if ("step" in config) == ("workflow_id" in config):
            found.append(Fault(pointer="", code="one_of", detail="give either step or workflow_id"))
        elif "inputs" in config and "step" in config:
            found.append(Fault(pointer="/inputs", code="one_of", detail="inputs go with workflow_id alone"))
        return found

    def run(self, context: Context) -> Outcome:
        items = context.config["items"]
        if not items:
            return Completed(output={"results": [], "errors": []})
        seconds = context.timeout_seconds
        until = None if seconds is None else context.now + timedelta(seconds=seconds)
        late = Failed(code="timeout", message=f"Its items have not ended within {seconds or 0:g} s.")
        return Waiting(until=until, then=late, waits_for=WAITS_FOR_ITEMS, items=items)
