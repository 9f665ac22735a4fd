"""A run as the machine sees it, and what the machine says of it. Values alone: no rule is here."""

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from flowforge.kernel.definition import Definition, Node
from flowforge.kernel.mapping import Error, MapState
from flowforge.kernel.states import ENDED_RUN_STATUSES, ENDED_STEP_STATUSES, RunStatus, StepStatus

__all__ = [
    "MAX_LOST",
    "Decisions",
    "Error",
    "RunChange",
    "RunState",
    "StepChange",
    "StepState",
    "Verdict",
    "step_key",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """How a waiting step ends: as someone outside said, or once its time is over."""

    status: StepStatus  # completed or failed
    branch: str | None = None
    error: Error | None = None
    otherwise: Error | None = None  # completed, but no edge takes the branch: it failed with this

    @classmethod
    def of(cls, stored: Mapping[str, Any]) -> "Verdict":
        """From the form in which it is kept: `{status, output, branch, error, otherwise}`.

        Beside it stand `asks` (of a wait: what whoever ends it has to know) and `told` (of a resolution: what the
        step's event says of it, such as `by` and `reason`).
        """
        return cls(
            status=stored["status"],
            branch=stored.get("branch"),
            error=stored.get("error"),
            otherwise=stored.get("otherwise"),
        )


MAX_LOST: Final = 3  # workers lost in a row after which a step is taken to be what kills them


@dataclass(slots=True, kw_only=True)
class StepState:
    """What the machine has to know of a step that has begun or ended."""

    node: Node
    index: int | None = None  # the item of a `map`
    status: StepStatus = "pending"
    attempt: int = 0
    available_at: datetime | None = None  # pending, retrying: may start from then on; waiting: is over then
    lease_expires_at: datetime | None = None  # running: when its worker is taken to be lost
    lost_count: int = 0
    branch: str | None = None
    error: Error | None = None
    finished_at: datetime | None = None
    then: Verdict | None = None  # waiting: how it ends at `available_at`
    resolution: Verdict | None = None  # waiting, pending, retrying: how someone outside has ended it

    @property
    def key(self) -> str:
        return step_key(self.node.id, self.index)

    @property
    def ended(self) -> bool:
        return self.status in ENDED_STEP_STATUSES

    @property
    def is_last_chance(self) -> bool:
        """Whether one more loss ends it. Then it has to be its own: nobody else's step may be what kills its worker."""
        return self.lost_count >= MAX_LOST - 1

    def is_due(self, now: datetime) -> bool:
        """Whether its moment has come: to begin, or for its wait to end."""
        return self.available_at is not None and self.available_at <= now


@dataclass(frozen=True, slots=True, kw_only=True)
class StepChange:
    """A step has this status now."""

    node: Node
    index: int | None = None
    status: StepStatus  # pending: it is ready to start
    branch: str | None = None
    error: Error | None = None
    reason: str | None = None  # for the event: `when`, `unreachable`, `worker_lost`, `waited`, `resolved` …

    @property
    def key(self) -> str:
        return step_key(self.node.id, self.index)


@dataclass(frozen=True, slots=True, kw_only=True)
class RunChange:
    """The run has this status now, and this event says so."""

    status: RunStatus
    event: str
    error: Error | None = None
    reason: str | None = None


@dataclass(slots=True)
class Decisions:
    """What was decided, in the order in which it has to be recorded."""

    changes: list[StepChange | RunChange] = field(default_factory=list)
    gathered: list[StepState] = field(default_factory=list)  # maps whose items have all ended: theirs is to be settled

    @property
    def begun(self) -> list[StepChange]:
        """Steps that are ready to start now and were not before."""
        return [c for c in self.changes if isinstance(c, StepChange) and c.status == "pending"]


def step_key(node_id: str, index: int | None) -> str:
    """What a step is called within its run: its node's id, which has no brackets, or `node[3]` for a map's item."""
    return node_id if index is None else f"{node_id}[{index}]"


class RunState:
    """A run as the machine sees it: its steps, and for each node how many of its incoming edges are settled."""

    def __init__(
        self,
        definition: Definition,
        *,
        status: RunStatus = "pending",
        started: bool = False,
        run_at: datetime | None = None,
        expires_at: datetime | None = None,
        deadline_at: datetime | None = None,
    ) -> None:
        self.definition = definition
        self.status: RunStatus = status
        self.started = started
        self.run_at = run_at
        self.expires_at = expires_at  # not begun by then: it never does
        self.deadline_at = deadline_at
        self.cancel_requested = False
        self.pause_requested = False
        self.held = False  # frozen, or the engine is paused: nothing begins, no time passes
        self.placeless = False  # no limit leaves a place for it: what has not begun does not
        self.steps: dict[str, StepState] = {}
        self.live: dict[str, StepState] = {}  # items of maps too, by their own keys: `step_key`
        self.maps: dict[str, MapState] = {}  # those that go over their items now
        self.unhandled: list[StepState] = []  # failed steps that no edge has taken
        self._unsettled = {node: len(edges) for node, edges in definition.incoming.items()}
        self._fired: dict[str, int] = {}
        self._spread_next: deque[StepState] = deque()
        self._ready: dict[str, None] = {}  # joins that are satisfied, not begun yet; in the order of their readiness
        self._roots_done = False

    # --- what the shell tells the machine -------------------------------------------------------------------------

    def restore(self, step: StepState) -> None:
        """Take over a step as it was recorded; before the first decision. Of items, those that have not ended."""
        if step.index is None:
            self.steps[step.node.id] = step
        if step.ended:
            self._spread_next.append(step)
        else:
            self.live[step.key] = step

    def settle(
        self,
        key: str,
        status: StepStatus,
        *,
        now: datetime,
        branch: str | None = None,
        error: Error | None = None,
    ) -> None:
        """A live step has ended: as its worker recorded it, or as a pure step was evaluated."""
        step = self.live.pop(key)
        step.status, step.branch, step.error, step.finished_at = status, branch, error, now
        if step.index is None:
            self.maps.pop(key, None)
            self._spread_next.append(step)
        elif step.node.id in self.maps:
            self.maps[step.node.id].settle(step.index, (error or {}) if status == "failed" else None)

    def items_of(self, node_id: str) -> list[StepState]:
        """The live items of a map."""
        found = self.maps[node_id].live if node_id in self.maps else ()
        return [self.live[step_key(node_id, index)] for index in sorted(found)]

    @property
    def ended(self) -> bool:
        return self.status in ENDED_RUN_STATUSES

    @property
    def kept_waiting(self) -> bool:
        """Whether its own pause, or the want of a place, keeps steps from beginning."""
        return self.pause_requested or self.placeless

    @property
    def stands_still(self) -> bool:
        """Whether no step may begin."""
        return self.held or self.kept_waiting

    @property
    def has_ready(self) -> bool:
        """Whether a node or an item is ready to begin and has been kept from it."""
        return bool(self._ready) or any(each.room for each in self.maps.values())

    @property
    def running_count(self) -> int:
        return sum(1 for step in self.live.values() if step.status == "running")
