"""What keeps a run or a step of it, in the words of the API."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from flowforge.engine.admission import Cause
from flowforge.engine.store.rows import ClaimedRun


@dataclass(frozen=True, slots=True, kw_only=True)
class Obstacle:
    """A cause of docs/api.md, section 14."""

    code: str
    message: str
    holder: tuple[str, str | None] | None = None  # (type, id) of what has, or is, what it waits for
    since: datetime | None = None
    until: datetime | None = None  # where that is known
    position: int | None = None  # in the queue, from 1
    step: str | None = None  # the step that it keeps; None: the whole run
    unblock: Sequence[str] = ()  # actions


def of_cause(cause: Cause, run: ClaimedRun) -> Obstacle:
    """Admission's cause; of several holders, the one that has its place for the longest."""
    holder: tuple[str, str | None] | None = None
    if cause.holders:
        holder = ("run", str(cause.holders[0].id))
    elif cause.gate is not None:
        holder = ("project" if cause.gate.kind == "project" else "workflow", str(cause.gate.owner))
    elif cause.code == "paused":
        holder = ("run", str(run.id))
    return Obstacle(
        code=cause.code,
        message=cause.message,
        holder=holder,
        since=cause.since,
        until=cause.until,
        position=cause.position,
        unblock=cause.unblock,
    )
