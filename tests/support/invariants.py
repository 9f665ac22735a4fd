"""What must hold of the database after any fault: read straight from its tables, judged by the kernel's own tables.

`violations(read(url))` is empty, or says what is wrong, a line each.
"""

import json
import sqlite3
import uuid
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

import psycopg

from flowforge.kernel.runstate import MAX_LOST
from flowforge.kernel.states import (
    ENDED_RUN_STATUSES,
    ENDED_STEP_STATUSES,
    RUN_TRANSITIONS,
    STEP_TRANSITIONS,
)


@dataclass(frozen=True, kw_only=True)
class RunRow:
    id: str
    status: str
    attempt: int
    event_seq: int
    steps_total: int
    steps_completed: int
    steps_failed: int
    steps_skipped: int
    retries: int
    lease_token: int  # how often it was claimed
    lease_expires_at: Any
    wake_at: Any
    version_id: Any = None
    inputs: Any = None
    outputs: Any = None
    finished_at: datetime | None = None


@dataclass(frozen=True, kw_only=True)
class StepRow:
    id: str
    run_id: str
    node_id: str
    index: int  # of a map's item; -1: a node
    status: str
    attempt: int
    max_attempts: int
    lease_expires_at: Any
    error: Any = None


@dataclass(frozen=True, kw_only=True)
class EventRow:
    run_id: str
    seq: int
    event: str
    step_id: str | None
    data: dict[str, Any]
    at: datetime | None = None


@dataclass(frozen=True, kw_only=True)
class Story:
    """One run: its row, its steps, its events by seq."""

    run: RunRow
    steps: Sequence[StepRow]
    events: Sequence[EventRow]
    definition: dict[str, Any] = field(default_factory=dict)  # empty: what depends on what is not judged

    def of(self, step: StepRow) -> list[EventRow]:
        """The step's transitions."""
        return [each for each in self.events if each.step_id == step.id and each.event != "step.log"]


def violations(stories: Sequence[Story]) -> list[str]:
    """All that is wrong with these runs, each of which has to have ended."""
    return [f"run {story.run.id}: {fault}" for story in stories for fault in _faults(story)]


def read(url: str) -> list[Story]:
    """Every run of a database, sqlite:///… or postgresql://…, oldest first."""
    runs = [RunRow(**row) for row in _rows(url, "runs_run", RunRow, "created_at, id")]
    steps, events = defaultdict(list), defaultdict(list)
    for row in _rows(url, "runs_steprun", StepRow, "run_id, position"):
        steps[row["run_id"]].append(StepRow(**row))
    for row in _rows(url, "runs_runevent", EventRow, "run_id, seq"):
        events[row["run_id"]].append(EventRow(**row))
    definitions = {
        _plain("id", row[0]): row[1] if isinstance(row[1], dict) else json.loads(row[1])
        for row in fetch(url, "SELECT id, definition FROM workflows_workflowversion")
    }
    return [
        Story(run=run, steps=steps[run.id], events=events[run.id], definition=definitions[run.version_id])
        for run in runs
    ]


def story_of(run: Any) -> Story:
    """One run of the database that the test itself is in."""
    steps, events = run.steps.order_by("position"), run.events.order_by("seq")
    return Story(
        run=_row_of(RunRow, run),
        steps=[_row_of(StepRow, step) for step in steps],
        events=[_row_of(EventRow, event) for event in events],
    )


# --- the invariants -----------------------------------------------------------------------------------------------


def _faults(story: Story) -> Iterator[str]:
    yield from _sequence(story)
    yield from _run_history(story)
    yield from _leases(story)
    yield from _counters(story)
    yield from _order(story)
    for step in story.steps:
        for fault in _step_history(story, step):
            yield f"step {step.node_id}: {fault}"


def _sequence(story: Story) -> Iterator[str]:
    """seq has no gaps and no doubles, and the run knows the newest."""
    seqs = [event.seq for event in story.events]
    if seqs != list(range(1, len(seqs) + 1)):
        yield f"events have the seqs {seqs}"
    if story.run.event_seq != len(seqs):
        yield f"event_seq is {story.run.event_seq} after {len(seqs)} events"


def _run_history(story: Story) -> Iterator[str]:
    """Each event of the run is a transition that there is; the last thing told is its end, and the row says so."""
    told = [event for event in story.events if event.event.startswith("run.")]
    if not told or told[0].event != "run.created":
        yield "the history does not begin with run.created"
        return
    status = "pending"
    for event in told[1:]:
        following = event.data["status"]
        if following not in RUN_TRANSITIONS[status]:
            yield f"event {event.seq} ({event.event}) follows {status}"
        status = following
    if story.run.status not in ENDED_RUN_STATUSES:
        yield f"it has not ended: {story.run.status}"
    elif story.run.status != status or story.events[-1] is not told[-1]:
        yield f"it is {story.run.status}, but its history ends with {story.events[-1].event}"
    if sum(event.event == "run.started" for event in told) > 1:
        yield "it started twice"


def _step_history(story: Story, step: StepRow) -> Iterator[str]:
    """One terminal event an attempt of the run; each start is an attempt, unless it was lost or handed back."""
    status, started, given_back, last_seq = "pending", 0, 0, 0
    retries = [event.seq for event in story.events if event.event == "run.retried"]
    for event in story.of(step):
        following = {"started": "running"}.get(event.event.removeprefix("step."), event.event.removeprefix("step."))
        if any(last_seq < seq < event.seq for seq in retries) and "pending" in STEP_TRANSITIONS[status]:
            status = "pending"  # a retry has taken it up again
        if following not in STEP_TRANSITIONS[status]:
            yield f"event {event.seq} ({event.event}) follows {status}"
        last_seq = event.seq
        status = following
        started += event.event == "step.started"
        given_back += event.event == "step.retrying" and "error" not in event.data
    if step.status != status or status not in ENDED_STEP_STATUSES:
        yield f"it is {step.status}, its history ends with {status}"
    if step.attempt != started - given_back:
        yield f"attempt is {step.attempt}; it started {started} times and was given back {given_back} times"
    if step.attempt > step.max_attempts:
        yield f"attempt {step.attempt} of {step.max_attempts}"
    if (step.error or {}).get("code") == "worker_lost":
        yield from _poison(story.of(step))


def _poison(told: Sequence[EventRow]) -> Iterator[str]:
    """Given up for lost is only what has cost MAX_LOST workers one after the other."""
    lost = [event.data.get("reason") == "worker_lost" for event in told if event.event == "step.retrying"]
    if lost[-(MAX_LOST - 1) :] != [True] * (MAX_LOST - 1):
        yield f"failed with worker_lost after {sum(lost)} losses"


def _order(story: Story) -> Iterator[str]:
    """No step moves before its sources have ended, as far as its join asks. A retried run has begun anew in between."""
    if story.run.attempt > 1 or not story.definition:
        return
    first: dict[str, int] = {}
    ended: dict[str, int] = {}
    nodes = {step.id: step.node_id for step in story.steps if step.index == -1}
    for event in story.events:
        node = nodes.get(event.step_id or "")
        if node is None or event.event == "step.cancelled":
            continue
        first.setdefault(node, event.seq)
        if event.event.removeprefix("step.") in ENDED_STEP_STATUSES:
            ended[node] = event.seq
    joins = {node["id"]: node.get("join", "all") for node in story.definition["nodes"]}
    sources = defaultdict(list)
    for edge in story.definition["edges"]:
        sources[edge["target"]].append(edge["source"])
    for node, seq in first.items():
        settled = [ended.get(source, seq + 1) < seq for source in sources[node]]
        if settled and not (all(settled) if joins[node] == "all" else any(settled)):
            yield f"step {node}: event {seq} comes before its sources have ended"


def _leases(story: Story) -> Iterator[str]:
    """Nobody holds what has ended, and nobody is to look at it."""
    if story.run.lease_expires_at is not None or story.run.wake_at is not None:
        yield f"lease_expires_at {story.run.lease_expires_at}, wake_at {story.run.wake_at}"
    held = [step.node_id for step in story.steps if step.lease_expires_at is not None]
    if held:
        yield f"steps hold leases: {held}"


def _counters(story: Story) -> Iterator[str]:
    """The run's counters are those of its steps."""
    run = story.run
    nodes = [step for step in story.steps if step.index == -1]
    if len(nodes) != run.steps_total:
        yield f"{len(nodes)} of {run.steps_total} steps have a row"
    for status, counted in (
        ("completed", run.steps_completed),
        ("failed", run.steps_failed),
        ("skipped", run.steps_skipped),
    ):
        found = sum(step.status == status for step in nodes)
        if found != counted:
            yield f"steps_{status} is {counted} of {found}"
    retries = sum(event.event == "step.retrying" and "error" in event.data for event in story.events)
    if run.retries != retries:
        yield f"retries is {run.retries} of {retries}"


# --- the tables ---------------------------------------------------------------------------------------------------


def _rows(url: str, table: str, kind: type, order: str) -> Iterator[dict[str, Any]]:
    columns = list(kind.__annotations__)
    names = ", ".join(f'"{column}"' for column in columns)
    query = f"SELECT {names} FROM {table} ORDER BY {order}"
    as_text = url.startswith("sqlite")
    for row in fetch(url, query):
        yield {name: _plain(name, value, as_text) for name, value in zip(columns, row, strict=True)}


def fetch(url: str, query: str) -> list[tuple[Any, ...]]:
    """All rows of a query, over a connection of its own."""
    if not url.startswith("sqlite"):
        with psycopg.connect(url) as connection:
            return connection.execute(query).fetchall()
    connection = sqlite3.connect(urlsplit(url).path.removeprefix("/"), timeout=20)
    try:
        return connection.execute(query).fetchall()
    finally:
        connection.close()


_JSON = ("data", "inputs", "outputs", "error")
_MOMENTS = ("at", "finished_at")


def _plain(name: str, value: Any, as_text: bool = False) -> Any:
    """One spelling of ids, moments and JSON for both databases; SQLite has the last two `as_text`."""
    if isinstance(value, uuid.UUID):
        return value.hex
    if name in _JSON and as_text and value is not None:
        return json.loads(value)
    if name in _MOMENTS and as_text and value is not None:
        return datetime.fromisoformat(value).replace(tzinfo=UTC)
    return value


def _row_of(kind: type, model: Any) -> Any:
    return kind(**{name: _plain(name, getattr(model, name)) for name in kind.__annotations__})
