"""Which steps may start now, and when to look again: asked by the driver, and by whoever explains a run."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from flowforge.kernel.runstate import RunState, StepState


def dispatchable(state: RunState, now: datetime) -> list[StepState]:
    """The steps that may start right now, first things first, as many as `max_concurrency` leaves room for."""
    if state.stands_still or state.ended:
        return []
    room = state.definition.config.max_concurrency - state.running_count
    return ready(state, now)[:room] if room > 0 else []


def ready(state: RunState, now: datetime) -> list[StepState]:
    """The steps whose moment has come, first things first, room or not."""
    due = [
        step
        for step in state.live.values()
        if step.status in ("pending", "retrying") and (step.available_at is None or step.available_at <= now)
    ]
    if len(due) > 1:
        due.sort(key=lambda step: (-step.node.priority, step.node.position, step.index or 0))
    return due


def is_sole(state: RunState, due: Sequence[StepState]) -> bool:
    """Whether one step is all that the run can do now: its driver does it, if it needs no other kind of worker. Not if
    it has its last chance: a driver does steps of other runs as well."""
    return len(due) == 1 and len(state.live) == 1 and not due[0].is_last_chance


def held_back(state: RunState, now: datetime) -> bool:
    """Whether anything of a held run would begin or be over by now, were it not held: it has to be woken when it is
    let go. What waits for a moment to come, or for somebody, does so by itself."""
    if not state.held or state.ended:
        return False
    begins = not state.pause_requested
    if not state.started:
        expired = state.expires_at is not None and state.expires_at <= now
        return expired or (begins and (state.run_at is None or state.run_at <= now))
    if (state.deadline_at is not None and state.deadline_at <= now) or (begins and state.has_ready):
        return True
    statuses = ("pending", "retrying", "waiting") if begins else ("waiting",)
    return any(step.status in statuses and step.is_due(now) for step in state.live.values())


def next_wake(state: RunState, now: datetime, again_after: timedelta = timedelta(0)) -> datetime | None:
    """When someone has to look at this run again; None: only an outside event can move it.

    Steps that may start already are the workers' by now: they are looked at again after `again_after`, should the
    hints to those be lost. Of a held run, moments that have passed are nothing to look at: see `held_back`.
    """
    if state.ended:
        return None
    if not state.started:
        return _wake_before_start(state, now)
    moments = [state.deadline_at] if state.deadline_at is not None else []
    leases = []
    for step in state.live.values():
        if step.status == "running":
            leases.append(step.lease_expires_at or now)
        elif step.available_at is not None and not (state.kept_waiting and step.status != "waiting"):
            moments.append(step.available_at if step.available_at > now or state.held else now + again_after)
    if state.held:
        moments = [moment for moment in moments if moment > now]
    return min(moments + leases, default=None)


def _wake_before_start(state: RunState, now: datetime) -> datetime | None:
    """What has time to bring to a run that has not begun: its `run_at`, and the end of its patience."""
    moments = [] if state.expires_at is None or (state.held and state.expires_at <= now) else [state.expires_at]
    if state.run_at is not None and state.run_at > now:
        moments.append(state.run_at)
    return min(moments, default=None)
