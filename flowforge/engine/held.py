"""A claimed run in memory: its rows, and the machine's view of them."""

from collections.abc import Mapping
from typing import Any

from flowforge.core import clock
from flowforge.engine import relatives
from flowforge.engine.admission import Places
from flowforge.engine.items import lists, map_state
from flowforge.engine.journal import Journal
from flowforge.engine.plan import Plan, plan_of, steps_named
from flowforge.engine.scope import Results, item_of
from flowforge.engine.store import runs as run_store
from flowforge.engine.store import steps as step_store
from flowforge.engine.store.rows import ClaimedRun, StepRow
from flowforge.kernel.expressions import Expression, ExpressionError, Template, truthy
from flowforge.kernel.machine import EvaluationFailed
from flowforge.kernel.mapping import MapState
from flowforge.kernel.runstate import RunState, StepState, Verdict
from flowforge.kernel.states import ENDED_STEP_STATUSES
from runs.scope import scope_of


class HeldRun:
    """Rows as they were read and as they are to be written, the machine's state, results as expressions see them."""

    def __init__(self, run: ClaimedRun, worker: str) -> None:
        self.run = run
        self.plan: Plan = plan_of(run.version_id)
        self.journal = Journal(run, worker)
        self.results = Results(run.id)
        self.places = Places(run)
        self.restore()

    # --- between the rows and the machine -------------------------------------------------------------------------

    def restore(self) -> None:
        """Read what is in the database, and forget what is not written."""
        run = self.run
        self.journal.clear()
        self.journal.rows = {}
        self.state = state = RunState(
            self.plan.definition,
            status=run.status,  # type: ignore[arg-type]  # the column holds a RunStatus: run_status_known
            started=run.started_at is not None,
            run_at=run.run_at,
            expires_at=run.expires_at,
            deadline_at=run.deadline_at,
        )
        self._tell_wishes()
        state.placeless = self.places.missing is not None
        if run.event_seq == 1:
            return  # only run.created: there are no steps yet
        rows = step_store.load_steps(run.id)
        if self.plan.definition.maps:
            rows += step_store.load_live_items(run.id)
        for row in rows:
            self.journal.rows[row.key] = row
            if row.begun:
                state.restore(_step_state(self.plan, row))
        for node in self.plan.definition.maps:
            if node.id in state.live and state.live[node.id].status == "waiting":
                state.maps[node.id] = map_state(run, state, node)

    def refresh(self) -> None:
        """Someone has poked: read what may have changed of the live steps.

        Not of those that have changed here, and are not written: whether they still may is for the commit to say.
        """
        live = self.state.live
        others = [self.journal.rows[key].id for key in live if key not in self.journal.changed]
        if not others:
            return
        for row in step_store.load_these(others):
            known = self.journal.rows[row.key]
            if (row.status, row.lease_token, row.lease_expires_at) != (
                known.status,
                known.lease_token,
                known.lease_expires_at,
            ):
                self.journal.rows[row.key] = row
                self.adopt(live[row.key], row)

    def look_again(self) -> None:
        """Someone has asked something of this run: read what."""
        self.read_wishes()
        self._tell_wishes()
        run, state = self.run, self.state
        if run.started_at is not None:  # else its beginning is not written yet
            state.deadline_at = run.deadline_at
        run.deadline_at = state.deadline_at
        self.refresh()

    def read_wishes(self) -> None:
        run, found = self.run, run_store.read_wishes(self.run.id)
        run.pokes = found.pokes
        run.cancel_requested, run.pause_requested = found.cancel_requested, found.pause_requested
        run.frozen, run.held_at, run.deadline_at = found.frozen, found.held_at, found.deadline_at

    def read_progress(self) -> None:
        """A commit of ours may be on disk though its answer was lost: read how far the run has come."""
        run = self.run
        run.status, run.started_at, run.event_seq = run_store.read_progress(run.id)

    def _tell_wishes(self) -> None:
        run, state = self.run, self.state
        state.cancel_requested, state.pause_requested = run.cancel_requested, run.pause_requested
        state.held = run.frozen

    def adopt(self, step: StepState, row: StepRow) -> None:
        """Tell the machine what a row says."""
        if row.status in ENDED_STEP_STATUSES:
            ended_at = row.finished_at or clock.now()
            self.state.settle(row.key, row.status, now=ended_at, branch=row.branch, error=row.error)  # type: ignore[arg-type]  # a StepStatus, just compared
            self.journal.forget(row)
            return
        if row.items is not None and row.key not in self.state.maps:
            self._open_map(row)
        fresh = _step_state(self.plan, row)
        step.status, step.attempt, step.branch = fresh.status, fresh.attempt, fresh.branch
        step.available_at, step.lease_expires_at = fresh.available_at, fresh.lease_expires_at
        step.lost_count, step.then, step.resolution = fresh.lost_count, fresh.then, fresh.resolution

    def hear_children(self) -> None:
        """Runs that steps wait for may have ended."""
        for row in relatives.hear([self.journal.rows[key] for key in self.state.live]):
            self.state.live[row.key].resolution = Verdict.of(row.resolution)
        for row in relatives.hear_continuing([self.journal.rows[key] for key in self.state.live], clock.now()):
            self.journal.changed[row.key] = row
            self.state.live[row.key].available_at = row.available_at

    def _open_map(self, row: StepRow) -> None:
        """A map begins to go over its items."""
        items = lists.put(self.run, row.node_id, row.items)
        self.state.maps[row.node_id] = MapState.of(self.plan.definition, row.node_id, count=len(items))

    # --- expressions ----------------------------------------------------------------------------------------------

    def outputs(self) -> object:
        """The definition's `output`, or the outputs of the nodes that nothing follows. Raises ExpressionError."""
        template = self.plan.output
        if template is not None:
            return template.render(self.scope(template))
        definition = self.plan.definition
        sinks = [node.id for node in definition.nodes if not definition.outgoing[node.id]]
        self.results.load(sinks)
        return {node_id: self.results[node_id]["output"] for node_id in sinks}

    def evaluate(self, text: str, source: StepState | None) -> bool:
        """An edge's or node's `when`. `now` is the source's end: asked again, it gives the same answer."""
        expression = self.plan.expression(text)
        moment = source.finished_at if source is not None else None
        self.results.load(steps_named(expression))
        try:
            return truthy(expression.evaluate(scope_of(self.run, self.results, moment or clock.now())))
        except ExpressionError as error:
            raise EvaluationFailed(error.code, error.message) from None

    def scope_of_step(self, step: StepState, row: StepRow) -> Mapping[str, Any]:
        return self.scope(self.plan.config(step.node)) | item_of(self.run, row)

    def scope(self, template: Template | Expression) -> dict[str, Any]:
        self.results.load(steps_named(template))
        return scope_of(self.run, self.results, clock.now())


def _step_state(plan: Plan, row: StepRow) -> StepState:
    return StepState(
        node=plan.node(row),
        index=row.item,
        status=row.status,  # type: ignore[arg-type]  # the column holds a StepStatus: step_status_known
        attempt=row.attempt,
        available_at=row.available_at,
        lease_expires_at=row.lease_expires_at,
        lost_count=row.lost_count,
        branch=row.branch,
        error=row.error,
        finished_at=row.finished_at,
        then=None if row.then is None else Verdict.of(row.then),
        resolution=None if row.resolution is None else Verdict.of(row.resolution),
    )
