"""The states of a run and of a step, and which follow which. docs/state-machine.md draws this table."""

from typing import Final, Literal

RunStatus = Literal["pending", "running", "waiting", "paused", "completed", "failed", "cancelled"]
StepStatus = Literal["pending", "running", "retrying", "waiting", "completed", "failed", "skipped", "cancelled"]

RUN_STATUSES: Final = ("pending", "running", "waiting", "paused", "completed", "failed", "cancelled")
LIVE_RUN_STATUSES: Final = ("pending", "running", "waiting", "paused")
ENDED_RUN_STATUSES: Final = ("completed", "failed", "cancelled")

STEP_STATUSES: Final = (
    "pending",
    "running",
    "retrying",
    "waiting",
    "completed",
    "failed",
    "skipped",
    "cancelled",
)
LIVE_STEP_STATUSES: Final = ("pending", "running", "retrying", "waiting")
ENDED_STEP_STATUSES: Final = ("completed", "failed", "skipped", "cancelled")

RUN_TRANSITIONS: Final[dict[str, frozenset[str]]] = {
    "pending": frozenset({"running", "paused", "failed", "cancelled"}),
    "running": frozenset({"waiting", "paused", "completed", "failed", "cancelled"}),
    "waiting": frozenset({"running", "paused", "completed", "failed", "cancelled"}),
    "paused": frozenset({"pending", "running", "waiting", "completed", "failed", "cancelled"}),
    "completed": frozenset(),
    "failed": frozenset({"running", "waiting"}),  # :retry, as the next attempt; it waits for a place if it needs one
    "cancelled": frozenset({"running", "waiting"}),  # likewise
}

STEP_TRANSITIONS: Final[dict[str, frozenset[str]]] = {
    "pending": frozenset({"running", "waiting", "completed", "failed", "skipped", "cancelled"}),
    "running": frozenset({"pending", "retrying", "waiting", "completed", "failed", "cancelled"}),
    "retrying": frozenset({"running", "completed", "failed", "cancelled"}),
    "waiting": frozenset({"running", "completed", "failed", "cancelled"}),
    "completed": frozenset(),
    "failed": frozenset({"pending"}),  # :retry of its run
    "skipped": frozenset({"pending"}),  # :retry of its run
    "cancelled": frozenset({"pending"}),  # :retry of its run
}
