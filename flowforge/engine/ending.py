"""What the end of a run, or of a step, means to other runs: gathered while the driver decides, done with its commit."""

from collections.abc import Callable, Mapping
from typing import Any

from flowforge.engine import relatives, tools
from flowforge.engine.plan import Plan
from flowforge.engine.store.rows import ClaimedRun, StepRow
from flowforge.kernel.definition import Node
from flowforge.kernel.expressions import ExpressionError, Template
from flowforge.kernel.runstate import Error, StepChange
from flowforge.kernel.states import ENDED_STEP_STATUSES
from runs.services.lineage import cancel_children


class Ending:
    """Of one drive of one run."""

    def __init__(self, run: ClaimedRun, plan: Plan) -> None:
        self._run = run
        self._plan = plan
        self._abandoned: list[str] = []  # start keys
        self._error: Error | None = None
        self._on_failure: Mapping[str, Any] | None = None

    def step_changed(self, change: StepChange, row: StepRow) -> None:
        """A step that ends otherwise than by its child's end leaves that child behind."""
        has_begun = row.attempt > 0 or row.waits_for  # one that goes on later uses up no attempt until then
        left = change.status in ENDED_STEP_STATUSES and has_begun and change.reason != "resolved"
        if left and self._plan.may_start_run(change.node):
            self._abandoned += self._start_keys(change.node, row)

    def _start_keys(self, node: Node, row: StepRow) -> list[str]:
        if self._plan.may_call_tools(node):
            return tools.start_keys(self._run, row)
        return [relatives.step_key(row.id, self._run.attempt)]

    def failed(self, error: Error, scope: Callable[[Template], Mapping[str, Any]]) -> None:
        """The run fails: what `config.on_failure` says of it is rendered now, outside of the transaction."""
        template = self._plan.on_failure
        if template is None:
            return
        self._error = error
        try:
            self._on_failure = template.render(scope(template))
        except ExpressionError as fault:
            relatives.log.warning("run %s: on_failure: %s", self._run.id, fault.message)

    def let_go(self) -> None:
        """Ask the children to end whose steps have: before the commit, so that no crash lets them live on."""
        if self._abandoned:
            cancel_children(self._abandoned)

    @property
    def along(self) -> Callable[[], None] | None:
        """What has to be done within the transaction that ends the run."""
        return self._tell if self._run.awaited or self._on_failure is not None else None

    def _tell(self) -> None:
        relatives.wake_waiting(self._run)
        if self._on_failure is not None and self._error is not None:
            relatives.start_on_failure(self._run, self._on_failure, self._error)
