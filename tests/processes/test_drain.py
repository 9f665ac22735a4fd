"""SIGTERM while steps run: they are handed back, and go on after the next start."""

import signal
import uuid
from pathlib import Path

import pytest

from tests.processes.workflows import LISTENER, chain, fan, logged, python, run_of, statuses, transform, work
from tests.support.fleet import workers_of
from tests.support.invariants import read, violations
from tests.support.service import Site, until

pytestmark = [pytest.mark.processes, pytest.mark.timeout(240)]


def test_it_works(place: Site, tmp_path: Path) -> None:
    process = place.serve("up", "--quiet")
    client = place.client()
    for step_type in ("python", "work"):
        client.allow(step_type)
    long = python("long", LISTENER)
    long["config"]["inputs"] = {"folder": str(tmp_path), "password": ""}
    (tmp_path / "0").touch()
    alone = client.start(client.create("alone", chain(long, transform("after"))))["id"]
    beside = client.start(client.create("beside", fan(transform("first"), long, work("other", 600))))["id"]
    held = client.start(client.create("held", chain(work("in_place", 600))))["id"]
    for run in (alone, beside):
        until(lambda run=run: logged(client, run) == ["line 0"], 20, "its process runs")
    until(lambda: statuses(client, held) == {"in_place": "running"}, 10, "its step runs")
    process.process.send_signal(signal.SIGTERM)
    until(lambda: workers_of(place.database)[-1].life == "draining", 10, "it says that it ends")
    assert process.ended(30) == 0, process.printed
    assert {each.life for each in workers_of(place.database)} == {"stopped"}
    assert place.step_processes() == []
    stories = {story.run.id: story for story in read(place.database)}
    for run in (alone, beside, held):
        story = stories[uuid.UUID(run).hex]
        assert story.run.lease_expires_at is None
        assert {(step.status, step.attempt) for step in story.steps if step.status != "completed"} == {("retrying", 0)}
        assert any(event.data.get("reason") == "handed_back" for event in story.events)
    (tmp_path / "end").touch()
    process = place.serve("up", "--quiet")
    client = place.client()
    until(lambda: run_of(client, alone)["status"] == "completed", 20, "it goes on")
    for run in (beside, held):
        client.call("POST", f"/v1/runs/{run}:cancel")
        until(lambda run=run: run_of(client, run)["status"] == "cancelled", 20, "it is cancelled")
    assert process.end() == 0
    stories = {story.run.id: story for story in read(place.database)}
    assert [step.attempt for step in stories[uuid.UUID(alone).hex].steps] == [1, 1]
    assert violations(list(stories.values())) == []
