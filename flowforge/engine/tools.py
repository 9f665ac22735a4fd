"""Workflows that a step calls as tools: runs of the same project, started once each, that end with their step."""

import uuid
from collections.abc import Callable, Mapping

from flowforge.core.json import Json
from flowforge.engine import relatives
from flowforge.engine.outages import told_apart
from flowforge.engine.store.children import ended_runs
from flowforge.engine.store.rows import ClaimedRun, StepRow
from flowforge.steps.tools import Tool, ToolEnd
from runs.services.lineage import cancel_children
from workflows.selectors import callable_workflow


def start_keys(run: ClaimedRun, row: StepRow) -> list[str]:
    """Of the runs that a step has called so far, and of the one that it may be calling now."""
    kept = (row.then or {}).get("kept") or {}
    return [relatives.call_key(row.id, run.attempt, number) for number in range(kept.get("calls", 0) + 1)]


class WorkflowTools:
    """The ToolPort of one attempt of one step."""

    def __init__(
        self, run: ClaimedRun, row: StepRow, without_secrets: Callable[[Mapping[str, Json]], Mapping[str, Json]]
    ) -> None:
        self._run = run
        self._row = row
        self._without_secrets = without_secrets  # what a run is given is stored with it

    def find(self, workflow: str) -> Tool | None:
        with told_apart():
            found = callable_workflow(self._run.project_id, workflow)
        if found is None:
            return None
        return Tool(
            workflow_id=str(found.workflow_id),
            name=found.workflow.name,
            description=found.workflow.description,
            input_schema=found.definition.get("input_schema") or {},
        )

    def start(self, tool: Tool, inputs: Mapping[str, Json], number: int) -> str:
        key = relatives.call_key(self._row.id, self._run.attempt, number)
        return relatives.start_for_step(
            self._run, self._row, tool.workflow_id, self._without_secrets(inputs), True, key
        )

    def ended(self, run_id: str) -> ToolEnd | None:
        with told_apart():
            ended = ended_runs([uuid.UUID(run_id)])
        return ToolEnd(status=ended[0].status, outputs=ended[0].outputs, error=ended[0].error) if ended else None

    def abandon(self) -> None:
        with told_apart():
            cancel_children(start_keys(self._run, self._row))
