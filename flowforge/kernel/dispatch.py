"""Which steps may start now, and when to look again: asked by the driver, and by whoever explains a run."""

from datetime import datetime, timedelta

from flowforge.kernel.runstate import RunState, StepState


def dispatchable(state: RunState, now: datetime) -> list[StepState]:
    """The steps that may start right now, first things first, as many as `max_concurrency` leaves room for."""
    if state.stands_still or state.ended:
        return []
    room = state.definition.config.max_concurrency - state.running_count
    if room <= 0:
        return []
    due = [
        step
        for step in state.live.values()
        if step.status in ("pending", "retrying") and (step.available_at is None or step.available_at <= now)
    ]
    if len(due) > 1:
        due.sort(key=lambda step: (-step.node.priority, step.node.position, step.index or 0))
    return due[:room]


def next_wake(state: RunState, now: datetime, again_after: timedelta = timedelta(0)) -> datetime | None:
    """When someone has to look at this run again; None: only an outside event can move it.

    Steps that may start already are the workers' by now: they are looked at again after `again_after`, should the
    hints to those be lost.
    """
    if state.ended:
        return None
    if not state.started:
        return _wake_before_start(state, now)
    moments = [state.deadline_at] if state.deadline_at is not None else []
    for step in state.live.values():
        if step.status == "running":
            moments.append(step.lease_expires_at or now)
        elif step.available_at is not None and not (state.stands_still and step.status != "waiting"):
            moments.append(step.available_at if step.available_at > now else now + again_after)
    return min(moments, default=None)


def _wake_before_start(state: RunState, now: datetime) -> datetime | None:
    """What has time to bring to a run that has not begun: its `run_at`, and the end of its patience."""
    moments = [state.expires_at] if state.expires_at is not None else []
    if state.run_at is not None and state.run_at > now:
        moments.append(state.run_at)
    return min(moments, default=None)
