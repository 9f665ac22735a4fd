"""One decision round on its way to the database: what changed of the run, its steps, and the events that tell it."""

from datetime import datetime
from operator import attrgetter
from typing import Any, Final

from flowforge.core import json
from flowforge.core.ids import step_id
from flowforge.core.json import Json
from flowforge.engine.store.rows import ClaimedRun, EventRow, Failure, RunUpdate, StepRow
from flowforge.engine.store.steps import count, started_event
from flowforge.events.schemas import RUN_STARTED, STEP_STARTED
from flowforge.kernel.fingerprints import fingerprint_of
from flowforge.kernel.runstate import RunChange, StepChange

BEGINNINGS: Final = (RUN_STARTED, STEP_STARTED)
_ATTEMPT = ("status", "attempt", "lease_token", "worker", "started_at", "lease_expires_at", "finished_at", "error")
attempt_of = attrgetter(*_ATTEMPT)  # what `start` changes


class Journal:
    """Holds the rows of a run while it is driven, and what of them is not written yet."""

    def __init__(self, run: ClaimedRun, worker: str) -> None:
        self.run = run
        self.worker = worker
        self.rows: dict[str, StepRow] = {}
        self.clear()

    def clear(self) -> None:
        """All of it is written."""
        self.changed: dict[str, StepRow] = {}  # by key, as `rows`
        self.events: list[EventRow] = []
        self.update = RunUpdate()

    @property
    def is_empty(self) -> bool:
        return not self.events and not self.changed and not self.update.columns

    @property
    def begins(self) -> bool:
        """Whether the run or a step of it begins with this round."""
        return any(event.event in BEGINNINGS for event in self.events)

    # --- steps ----------------------------------------------------------------------------------------------------

    def begin(self, change: StepChange, queue: str, now: datetime) -> StepRow:
        """A step is ready: its row appears (or is taken up again)."""
        node, row = change.node, self.rows.get(change.key)
        if row is None:
            row = StepRow(
                id=step_id(self.run.id, node.id, change.index),
                node_id=node.id,
                index=-1 if change.index is None else change.index,
                status="pending",
                position=node.position,
                max_attempts=node.retry.max_attempts,
                priority=node.priority,
                queue=queue,
            )
            self.rows[change.key] = row
        row.status, row.available_at = "pending", now
        self.changed[change.key] = row
        return row

    def start(self, row: StepRow, now: datetime, lease_until: datetime | None) -> None:
        """An attempt begins here."""
        row.status, row.attempt, row.lease_token = "running", row.attempt + 1, row.lease_token + 1
        row.worker, row.started_at, row.lease_expires_at = self.worker, now, lease_until
        row.finished_at = row.error = None
        self.changed[row.key] = row
        self.events.append(started_event(row, now))

    def unstart(self, row: StepRow, before: tuple[Any, ...]) -> None:
        """Take back a `start` that was not committed; its event is the newest. `before`: `attempt_of` the row then."""
        for name, value in zip(_ATTEMPT, before, strict=True):
            setattr(row, name, value)
        self.events.pop()

    def settled(self, row: StepRow, events: list[EventRow], cost: float) -> None:
        """An attempt that ran here is over; `row` says how."""
        self.changed[row.key] = row
        self.events.extend(events)
        self.update.cost += cost
        count(self.update, row)

    def step_changed(self, change: StepChange, queue: str, now: datetime) -> None:
        """The machine has moved a step without anyone doing it."""
        if change.status == "pending":
            self.begin(change, queue, now)
            return
        row = self.rows.get(change.key) or self.begin(change, queue, now)
        self.changed[change.key] = row
        row.status, row.lease_expires_at = change.status, None
        data: dict[str, Any] = {**row.told, "attempt": row.attempt}
        if change.status == "retrying":  # its worker was lost
            row.attempt, row.available_at, row.lost_count = max(row.attempt - 1, 0), now, row.lost_count + 1
            row.lease_token += 1  # whatever that worker still writes is void
            data["attempt"] = row.attempt
        else:
            row.finished_at, row.branch = now, change.branch
            count(self.update, row)
        if change.reason is not None:
            data["reason"] = change.reason
        if change.reason in ("waited", "resolved"):
            data |= _end_of_wait(row, change)
        if change.error is not None:
            row.error = dict(change.error)
            data["error"] = row.error
        self.events.append(EventRow(at=now, event=f"step.{change.status}", step_id=row.id, data=data))

    def forget(self, row: StepRow) -> None:
        """An item has ended: nothing asks for its row again but the commit."""
        if row.index >= 0:
            self.rows.pop(row.key, None)

    # --- the run --------------------------------------------------------------------------------------------------

    def run_changed(self, change: RunChange, now: datetime, deadline_at: datetime | None) -> None:
        columns = self.update.columns
        columns["status"], columns["status_reason"] = change.status, change.reason
        data: dict[str, Any] = {"status": change.status}
        if change.event == "run.started":
            columns["started_at"], columns["deadline_at"] = now, deadline_at
        if change.status in ("completed", "failed", "cancelled"):
            columns["finished_at"] = now
        if change.error is not None:
            columns["error"] = data["error"] = dict(change.error)
            if change.status == "failed":
                fingerprint = fingerprint_of(self.run.workflow_id, change.error)
                self.update.failure = Failure(fingerprint=fingerprint, at=now)
        if change.reason is not None:
            data["reason"] = change.reason
        self.events.append(EventRow(at=now, event=change.event, data=data))

    def outputs(self, value: Json) -> None:
        self.update.columns["outputs"] = json.sanitize(value)[0]


def _end_of_wait(row: StepRow, change: StepChange) -> dict[str, Any]:
    """Give the row the output that its end was to have; returns what its event says beside: branch, who, why."""
    ended_by = (row.resolution if change.reason == "resolved" else row.then) or {}
    row.output, row.has_output, row.error = ended_by.get("output"), True, None
    branch = {} if change.branch is None else {"branch": change.branch}
    return {**branch, **ended_by.get("told", {})}
