"""`workflow`: a run of another workflow as a step of this one."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any, ClassVar

from flowforge.steps.base import (
    BaseStep,
    Completed,
    Context,
    Failed,
    Kind,
    Outcome,
    StartRefused,
    StepCancelled,
    Waiting,
)

WAITS_FOR_RUN = "run:"  # followed by the id of the run that a step waits for


class Workflow(BaseStep):
    """Starts a run of a workflow of the same project; holds nothing while it waits for its end."""

    name: ClassVar[str] = "workflow"
    title: ClassVar[str] = "Workflow"
    description: ClassVar[str] = "Starts a run of another workflow and gives what that gives."
    kind: ClassVar[Kind] = "effect"
    config_schema: ClassVar[Mapping[str, Any]] = {
        "type": "object",
        "required": ["workflow_id"],
        "additionalProperties": False,
        "properties": {
            "workflow_id": {
                "type": "string",
                "title": "Workflow",
                "description": "The id of a workflow of the same project.",
            },
            "inputs": {"type": "object", "title": "Inputs", "description": "What the run is started with."},
            "wait": {
                "type": "boolean",
                "default": True,
                "title": "Wait",
                "description": "Wait for the run's end and give its outputs; if not, give its id at once.",
            },
        },
    }
    output_schema: ClassVar[Mapping[str, Any]] = {}

    def run(self, context: Context) -> Outcome:
        if context.cancel.is_set:
            raise StepCancelled(context.cancel.reason)
        awaited = bool(context.config.get("wait", True))
        try:
            run_id = context.start_run(context.config["workflow_id"], context.config.get("inputs") or {}, awaited)
        except StartRefused as refusal:
            return Failed(code=refusal.code, message=str(refusal), retryable=refusal.retryable, details=refusal.details)
        if not awaited:
            return Completed(output={"run_id": run_id})
        seconds = context.timeout_seconds
        until = None if seconds is None else context.now + timedelta(seconds=seconds)
        late = Failed(code="timeout", message=f"The run {run_id} has not ended within {seconds or 0:g} s.")
        return Waiting(until=until, then=late, waits_for=f"{WAITS_FOR_RUN}{run_id}")
