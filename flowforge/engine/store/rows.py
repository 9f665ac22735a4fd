"""What the store takes and gives: rows as plain values."""

import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from flowforge.core.json import Json
from flowforge.kernel.fingerprints import Fingerprint
from flowforge.kernel.runstate import step_key


class LeaseLost(Exception):
    """Another process has the run (or it has ended): whoever finds this out writes nothing more."""


class Poked(Exception):
    """Someone has asked something of the run since we looked, or has frozen it: nothing was written; look again."""


class StaleState(Exception):
    """A step has moved on since it was read: read again, decide again."""


@dataclass(slots=True, kw_only=True)
class ClaimedRun:
    """A run under our lease, with all that driving it needs."""

    id: uuid.UUID
    project_id: uuid.UUID
    workflow_id: uuid.UUID
    version_id: uuid.UUID
    status: str
    attempt: int
    inputs: Json
    metadata: Json
    trigger_type: str
    traceparent: str
    created_at: datetime
    run_at: datetime | None
    started_at: datetime | None
    deadline_at: datetime | None
    cancel_requested: bool
    pause_requested: bool
    frozen: bool  # or its turn in a thaw is yet to come
    held_at: datetime | None
    pokes: int
    lease_token: int
    event_seq: int
    parent_run_id: uuid.UUID | None
    awaited: bool  # a step of the parent waits for its end
    priority: int
    expires_at: datetime | None
    concurrency_key: str | None
    key_held_since: datetime | None
    rate_key: str | None
    queued_in: str | None  # the id of a gate
    queued_at: datetime | None
    leased_until: datetime | None  # or later, as the keeper has extended it
    run_limit: int | None  # the project's `max_concurrent_runs`


@dataclass(slots=True, kw_only=True)
class StepRow:
    """A step's row as the engine reads and writes it."""

    id: uuid.UUID
    node_id: str
    status: str
    index: int = -1  # the item of a `map`; -1: none
    position: int = 0
    attempt: int = 0
    max_attempts: int = 1
    priority: int = 0
    queue: str = "default"
    inputs: Json = None
    output: Json = None
    error: Json = None
    items: Json = None  # of a `map` that begins: written, not read with the row
    has_output: bool = False  # `output` is to be written: a row that was read has left it in the database
    branch: str | None = None
    waits_for: str = ""
    then: Json = None
    resolution: Json = None  # written from outside: read here, never written
    sanitized: bool = False
    worker: str = ""
    available_at: datetime | None = None
    started_at: datetime | None = None
    finished_at: datetime | None = None
    deadline_at: datetime | None = None
    lease_token: int = 0
    lease_expires_at: datetime | None = None
    lost_count: int = 0
    stored: tuple[str, int] | None = None  # (status, lease_token) in the database; None: no row yet

    @property
    def begun(self) -> bool:
        """False of a row that a retry has left for its step to be decided anew: the machine knows nothing of it."""
        return self.status != "pending" or self.available_at is not None

    @property
    def key(self) -> str:
        """What the step is called within its run."""
        return step_key(self.node_id, self.item)

    @property
    def item(self) -> int | None:
        return None if self.index < 0 else self.index

    @property
    def told(self) -> dict[str, Any]:
        """What each of its events says of it."""
        return {"node_id": self.node_id} if self.index < 0 else {"node_id": self.node_id, "index": self.index}


@dataclass(slots=True, kw_only=True)
class EventRow:
    """A transition or a log line; `seq` is given by the commit."""

    at: datetime
    event: str
    step_id: uuid.UUID | None = None
    data: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """A run has failed so, at that moment."""

    fingerprint: Fingerprint
    at: datetime


@dataclass(slots=True)
class RunUpdate:
    """What a commit changes of the run's own row."""

    columns: dict[str, Any] = field(default_factory=dict)  # column -> value
    completed: int = 0  # counters: what to add
    failed: int = 0
    skipped: int = 0
    retries: int = 0
    cost: float = 0.0
    failure: Failure | None = None  # how the run has failed: its group is told in the same commit


@dataclass(frozen=True, slots=True, kw_only=True)
class Commit:
    """One decision round to be written: run, steps and events, or nothing at all.

    With `release` the lease is given back in the same statement, unless someone has poked since `run.pokes`; that of
    a run that ends in any case, and nobody looks at it again. A commit that starts a step is made `unless_poked`: no
    step begins after a pause or cancellation was accepted; one by which a step or the run begins, `unless_frozen`.
    A run that ends otherwise than cancelled does so unless a cancellation was accepted meanwhile.
    `along` is called within the transaction, for what other runs have to know of it or not at all; it may refuse by
    raising, and it takes locks that come after those of all rows: such a commit has a transaction of its own.
    """

    run: ClaimedRun
    update: RunUpdate
    steps: Sequence[StepRow]
    events: Sequence[EventRow]
    lease_until: datetime
    release: bool
    wake_at: datetime | None
    unless_poked: bool = False
    unless_frozen: bool = False
    along: Callable[[], None] | None = None

    @property
    def unless_cancelled(self) -> bool:
        return self.update.columns.get("status") in ("completed", "failed")


@dataclass(frozen=True, slots=True, kw_only=True)
class Wishes:
    """What is asked of a run, and whether a freeze holds it."""

    pokes: int
    cancel_requested: bool
    pause_requested: bool
    frozen: bool  # or its turn in a thaw is yet to come
    held_at: datetime | None
    deadline_at: datetime | None  # a thaw moves it


@dataclass(frozen=True, slots=True, kw_only=True)
class Committed:
    """What the run's row said while it was committed."""

    pokes: int
    released: bool
    cancel_requested: bool
    pause_requested: bool
