"""`kill -9` of the only process, again and again, in the middle of its work: every run that was accepted still ends."""

import random
import threading
import uuid
from collections import Counter
from collections.abc import Sequence

import pytest

from flowforge.kernel.runstate import MAX_LOST
from tests.bench.client import Client
from tests.processes.workflows import chain, ended_count, event_names, run_of, start_mixed, statuses, transform, work
from tests.support.invariants import EventRow, read, violations
from tests.support.service import Child, Site, until

pytestmark = [pytest.mark.processes, pytest.mark.timeout(300)]

EACH = 20  # runs of each of the five kinds
FAULTS = ("result.before_commit", "commit.after")  # where the process kills itself, at some time
SEED = 20


class Feeder(threading.Thread):
    """Starts runs one after the other until the server is gone; knows which were accepted."""

    def __init__(self, client: Client, workflow: str) -> None:
        super().__init__(daemon=True)
        self._client, self._workflow = client, workflow
        self.accepted: list[str] = []
        self.start()

    def run(self) -> None:
        while True:
            try:
                self.accepted.append(self._client.start(self._workflow)["id"])
            except (OSError, RuntimeError, ValueError):  # refused, cut off, or half an answer
                return


def test_it_works(place: Site) -> None:
    moments = sorted(random.Random(SEED).sample(range(5, 70), 2))
    process = place.serve("up", "--quiet")
    client = place.client()
    client.allow("work")
    accepted = start_mixed(client, EACH)
    feeder = Feeder(place.client(), client.create("fed", chain(transform("only"))))
    kill_in_the_middle(place, process, moments[0])
    feeder.join(10)
    kill_in_the_middle(place, place.serve("up", "--quiet"), moments[1])
    for fault in FAULTS:
        process = place.run("up", "--quiet", FLOWFORGE_FAILPOINTS=f"{fault}:0.05:kill9")
        assert process.ended(60) == -9, process.printed
        left_alone(place)
    process = place.serve("up", "--quiet")
    client = place.client()
    until(lambda: not client.call("GET", "/v1/runs?status=pending,running,waiting")["data"], 90, "all runs end")
    assert process.end() == 0, process.printed
    print(f"\n{len(accepted)} runs and {len(feeder.accepted)} one by one, killed {len(moments) + len(FAULTS)} times")
    judge(place, [*accepted, *feeder.accepted])
    left_alone(place)
    assert place.scratch_folders() == []


def kill_in_the_middle(place: Site, process: Child, ended: int) -> None:
    """SIGKILL once so many more runs have ended."""
    client = place.client()
    before = ended_count(client)
    until(lambda: ended_count(client) - before >= ended, 60, f"{ended} runs have ended")
    process.kill()
    left_alone(place)


def left_alone(place: Site) -> None:
    """The supervisors of commands notice: nothing of a step outlives the server."""
    until(lambda: not place.step_processes(), 5, "no process of a step is left")


def judge(place: Site, accepted: Sequence[str]) -> None:
    """All are there, and completed; but for those whose step happened to be under way at three kills in a row."""
    stories = read(place.database)
    assert violations(stories) == []
    known = {story.run.id: story for story in stories}
    mine = [known[uuid.UUID(run_id).hex] for run_id in accepted]
    lost = Counter(event.step_id for story in mine for event in story.events if was_lost(event))
    assert lost, "no step was under way when the process was killed: this proves nothing"
    poisoned = {step_id for step_id, count in lost.items() if count == MAX_LOST}
    failed = {step.id for story in mine for step in story.steps if step.status == "failed"}
    assert failed == poisoned
    ended = [story.run.status for story in mine]
    assert ended.count("completed") >= len(mine) - len(poisoned)
    flaky = [step for story in mine for step in story.steps if step.max_attempts > 1 and step.status == "completed"]
    assert {step.attempt for step in flaky} == {3}  # told to fail twice: what was lost uses up no attempt


def was_lost(event: EventRow) -> bool:
    """Whether it tells of a worker that was lost: handed on, or once too often."""
    return event.data.get("reason") == "worker_lost" or event.data.get("error", {}).get("code") == "worker_lost"


def test_a_run_under_way_is_taken_up_at_once(place: Site) -> None:
    """Nobody waits for the leases of a process that cannot come back."""
    process = place.serve("up", "--quiet")
    client = place.client()
    client.allow("work")
    run = client.start(client.create("under way", chain(work("only", 2))))["id"]
    until(lambda: "running" in statuses(client, run).values(), 10, "its step has begun")
    process.kill()
    process = place.serve("up", "--quiet")
    client = place.client()
    until(lambda: event_names(client, run).count("step.started") == 2, 2, "its step has begun again")
    until(lambda: run_of(client, run)["status"] == "completed", 10, "it ends")
    assert process.end() == 0
