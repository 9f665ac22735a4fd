"""The machine: what a run does next, as a function of values.

`decide(state, now, evaluate)` advances a `RunState` and returns what it advanced. It reads no clock, no database and
no network: equal states, moments and evaluators give equal decisions. Every rule of edges, labels, joins, skipping,
`when`, waiting, lost workers, pausing, cancelling and timeouts is here and only here (docs/state-machine.md).

The cost of a decision follows what has changed since the last one, not the size of the graph.
"""

from collections.abc import Callable
from datetime import datetime, timedelta

from flowforge.kernel.definition import Edge, Node
from flowforge.kernel.runstate import MAX_LOST, Decisions, Error, RunChange, RunState, StepChange, StepState, Verdict
from flowforge.kernel.states import RunStatus, StepStatus


class EvaluationFailed(Exception):
    """An expression of an edge or of a node's `when` could not be evaluated."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


Evaluate = Callable[[str, "StepState | None"], bool]
"""(expression, the edge's source or None for a node's own `when`) -> its truth; raises EvaluationFailed"""


def decide(state: RunState, now: datetime, evaluate: Evaluate) -> Decisions:
    """Advance `state` as far as it goes without anyone doing a step; returns what has changed."""
    found = Decisions()
    if state.ended:
        return found
    if state.cancel_requested:
        _end_early(state, found, now, "cancelled", {"code": "cancelled", "message": "The run was cancelled."})
    elif not state.started and not state.held and state.expires_at is not None and now >= state.expires_at:
        _end_early(state, found, now, "failed", {"code": "expired", "message": "The run did not begin in time."})
    elif state.deadline_at is not None and now >= state.deadline_at and not state.held:
        _end_early(state, found, now, "failed", {"code": "timeout", "message": "The run exceeded its timeout."})
    elif _may_move(state, found, now):
        _pass_time(state, found, now)
        _advance(state, found, now, evaluate)
        _go_over(state, found, now)
        _conclude(state, found)
    return found


# --- the rules ----------------------------------------------------------------------------------------------------


def _may_move(state: RunState, found: Decisions, now: datetime) -> bool:
    """Pausing, resuming and the start; False while a run that has not begun has to wait for its time, for a place, or
    for a freeze to end."""
    if state.pause_requested:
        if state.status != "paused":
            _run(state, found, "paused", "run.paused")
        return state.started
    if state.status == "paused":
        _run(state, found, _resumed(state), "run.resumed", reason="paused")
    if state.started:
        return True
    if state.held or state.placeless or (state.run_at is not None and now < state.run_at):
        return False
    state.started = True
    timeout = state.definition.config.timeout_seconds
    if timeout is not None and state.deadline_at is None:
        state.deadline_at = _plus(now, timeout)
    _run(state, found, "running", "run.started")
    return True


def _resumed(state: RunState) -> RunStatus:
    """What a run is after its pause: one that has begun and has no place waits for one."""
    if not state.started:
        return "pending"
    return "waiting" if state.placeless else "running"


def _pass_time(state: RunState, found: Decisions, now: datetime) -> None:
    """Waits that are over, and workers that were lost. Of a held run, waits end by what is said outside alone."""
    for step in list(state.live.values()):
        if step.status != "running" and step.resolution is not None:
            _end_wait(state, found, step, step.resolution, "resolved", now)
        elif step.status == "waiting" and not state.held and step.is_due(now):
            _end_wait(state, found, step, step.then or Verdict(status="completed"), "waited", now)
        elif step.status == "running" and step.lease_expires_at is not None and step.lease_expires_at <= now:
            _lose(state, found, step, now)


def _end_wait(state: RunState, found: Decisions, step: StepState, verdict: Verdict, reason: str, now: datetime) -> None:
    """A wait is over (or someone has ended a step that has yet to begin): as its verdict says, unless that is a branch
    that nobody takes and somebody has to."""
    status, error = verdict.status, verdict.error
    if verdict.otherwise is not None and not _is_taken(state, step, verdict.branch):
        status, error = "failed", verdict.otherwise
    branch = verdict.branch if status == "completed" else None
    for item in state.items_of(step.node.id) if step.index is None else ():
        _settle(state, found, item, "cancelled", now, reason=reason)
    _settle(state, found, step, status, now, branch=branch, error=error, reason=reason)


def _is_taken(state: RunState, step: StepState, branch: str | None) -> bool:
    """Whether an edge names the branch, or may: an expression can ask for anything. An item of a map has no edges."""
    if step.index is not None:
        return False
    edges = state.definition.outgoing[step.node.id]
    return any(edge.when == branch or edge.is_expression for edge in edges if edge.on != "failure")


def _lose(state: RunState, found: Decisions, step: StepState, now: datetime) -> None:
    """Hand a lost worker's step to another: it uses up no attempt, unless it has cost `MAX_LOST` workers in a row."""
    step.lost_count += 1
    if step.lost_count >= MAX_LOST:
        message = f"{step.lost_count} workers in a row were lost while they ran this step."
        _fail(state, found, step, {"code": "worker_lost", "message": message}, now)
        return
    step.status, step.available_at, step.lease_expires_at = "retrying", now, None
    step.attempt = max(step.attempt - 1, 0)
    found.changes.append(StepChange(node=step.node, index=step.index, status="retrying", reason="worker_lost"))


def _advance(state: RunState, found: Decisions, now: datetime, evaluate: Evaluate) -> None:
    """Let what has ended spread along the edges, and begin what is ready, until nothing moves."""
    if not state._roots_done:
        state._roots_done = True
        for node in state.definition.nodes:
            if not state.definition.incoming[node.id] and node.id not in state.steps:
                state._ready[node.id] = None
    while True:
        while state._spread_next:
            _spread(state, found, state._spread_next.popleft(), now, evaluate)
        if state.stands_still or not state._ready:
            return
        ready = list(state._ready)
        state._ready.clear()
        for node_id in ready:
            _begin(state, found, state.definition.by_id[node_id], now, evaluate)


def _spread(state: RunState, found: Decisions, source: StepState, now: datetime, evaluate: Evaluate) -> None:
    """A step has ended: settle its outgoing edges."""
    handled = source.status != "failed" or source.node.on_error == "continue"
    for edge in state.definition.outgoing[source.node.id]:
        begun = edge.target in state.steps or edge.target in state._ready
        if begun and (handled or edge.on == "success"):
            continue  # the target is past caring, and the source needs no one to take its failure
        try:
            fired = fires(edge, source, evaluate)
        except EvaluationFailed as error:
            if not begun:
                _fail(state, found, _new_step(state, edge.target), _error_of(error), now)
            continue
        if fired and edge.on != "success":
            handled = True
        if not begun:
            _settle_edge(state, found, edge, fired, now)
    if not handled:
        state.unhandled.append(source)


def fires(edge: Edge, source: StepState, evaluate: Evaluate) -> bool:
    """Whether an edge fires, its source having ended. Raises EvaluationFailed."""
    if source.status == "completed":
        applies = edge.on in ("success", "always")
    elif source.status == "failed":
        applies = edge.on in ("failure", "always") or source.node.on_error == "continue"
    else:
        applies = False
    if not applies or edge.when is None:
        return applies
    if edge.is_expression:
        return evaluate(edge.when, source)
    return source.branch == edge.when


def _settle_edge(state: RunState, found: Decisions, edge: Edge, fires: bool, now: datetime) -> None:
    """Count the edge at its target and apply the target's join."""
    target = edge.target
    state._unsettled[target] -= 1
    fired = state._fired.get(target, 0) + fires
    state._fired[target] = fired
    join = state.definition.by_id[target].join
    all_settled = state._unsettled[target] == 0
    if join == "any" and fired:
        state._ready[target] = None
    elif join == "strict" and not fires:
        _skip(state, found, target, "unreachable", now)
    elif all_settled and fired:
        state._ready[target] = None
    elif all_settled:
        _skip(state, found, target, "unreachable", now)


def _begin(state: RunState, found: Decisions, node: Node, now: datetime, evaluate: Evaluate) -> None:
    """A step's join is satisfied: it is ready, unless its own `when` says no."""
    if node.when is not None:
        try:
            wanted = evaluate(node.when, None)
        except EvaluationFailed as error:
            _fail(state, found, _new_step(state, node.id), _error_of(error), now)
            return
        if not wanted:
            _skip(state, found, node.id, "when", now)
            return
    step = _new_step(state, node.id)
    step.available_at = now
    found.changes.append(StepChange(node=node, status="pending"))


def _go_over(state: RunState, found: Decisions, now: datetime) -> None:
    """Let items of maps begin; end what is left of a map that has failed; hand over those that are over."""
    for each in state.maps.values():
        if each.failure is not None:
            for step in state.items_of(each.node.id):
                _settle(state, found, step, "cancelled", now, reason="map_failed")
        elif not state.stands_still:
            for index in each.take():
                step = StepState(node=each.step, index=index, available_at=now)
                state.live[step.key] = step
                found.changes.append(StepChange(node=each.step, index=index, status="pending"))
        if each.is_over:
            found.gathered.append(state.live[each.node.id])


def _conclude(state: RunState, found: Decisions) -> None:
    """The run has ended when every node has; it waits when all that is left does."""
    if found.gathered:
        return  # maps to be settled first
    if len(state.steps) == len(state.definition.nodes) and not state.live:
        if state.unhandled:
            _run(state, found, "failed", "run.failed", error=_step_failed(state))
        else:
            _run(state, found, "completed", "run.completed")
    elif state.status != "paused":
        waits = bool(state.live) and not state._ready and all(step.status == "waiting" for step in state.live.values())
        if waits and state.status == "running":
            _run(state, found, "waiting", "run.waiting")
        elif not waits and state.status == "waiting" and not (state.placeless or state.held):
            _run(state, found, "running", "run.resumed", reason="waiting")


def _end_early(state: RunState, found: Decisions, now: datetime, status: RunStatus, error: Error) -> None:
    """Cancelled or out of time: every step that has not ended is cancelled."""
    reason = str(error["code"])
    for item in [step for step in state.live.values() if step.index is not None]:
        _settle(state, found, item, "cancelled", now, reason=reason)
    for node in state.definition.nodes:
        step = state.steps.get(node.id)
        if step is None:
            step = _new_step(state, node.id)
        if not step.ended:
            _settle(state, found, step, "cancelled", now, reason=reason)
    state.maps.clear()
    state._ready.clear()
    state._spread_next.clear()
    _run(state, found, status, f"run.{status}", error=error)


# --- small movements ----------------------------------------------------------------------------------------------


def _run(
    state: RunState,
    found: Decisions,
    status: RunStatus,
    event: str,
    *,
    error: Error | None = None,
    reason: str | None = None,
) -> None:
    state.status = status
    found.changes.append(RunChange(status=status, event=event, error=error, reason=reason))


def _new_step(state: RunState, node_id: str) -> StepState:
    step = StepState(node=state.definition.by_id[node_id])
    state.steps[node_id] = state.live[node_id] = step
    return step


def _skip(state: RunState, found: Decisions, node_id: str, reason: str, now: datetime) -> None:
    _settle(state, found, _new_step(state, node_id), "skipped", now, reason=reason)


def _fail(state: RunState, found: Decisions, step: StepState, error: Error, now: datetime) -> None:
    _settle(state, found, step, "failed", now, error=error)


def _settle(
    state: RunState,
    found: Decisions,
    step: StepState,
    status: StepStatus,
    now: datetime,
    *,
    branch: str | None = None,
    error: Error | None = None,
    reason: str | None = None,
) -> None:
    state.settle(step.key, status, now=now, branch=branch, error=error)
    change = StepChange(node=step.node, index=step.index, status=status, branch=branch, error=error, reason=reason)
    found.changes.append(change)


def _error_of(failure: EvaluationFailed) -> Error:
    return {"code": failure.code, "message": failure.message}


def _step_failed(state: RunState) -> Error:
    """The run's error: the first failure that nothing handled, by the order of the definition."""
    step = min(state.unhandled, key=lambda failed: failed.node.position)
    cause = dict(step.error or {})
    return {
        "code": "step_failed",
        "message": f"The step {step.node.id} failed: {cause.get('message', '')}",
        "step": step.node.id,
        "details": cause,
    }


def _plus(moment: datetime, seconds: float) -> datetime:
    return moment + timedelta(seconds=seconds)
