"""F23: two want the same run to go different ways at the same moment. One wins, the other is told, history agrees."""

import threading
from collections.abc import Callable, Iterator

from tests.faults.client import Answer, Caller
from tests.faults.trials import Bench, noted

ROUNDS = 30
ACCEPTED = (200, 202)


def together(bench: Bench, *calls: Callable[[Caller], Answer]) -> list[Answer]:
    """All at once, each over a connection of its own."""
    barrier = threading.Barrier(len(calls))
    found: list[Answer | None] = [None] * len(calls)

    def go(place: int) -> None:
        caller = bench.world.caller()
        caller.ask("GET", "/livez")  # connected before the start
        barrier.wait(30)
        found[place] = calls[place](caller)
        caller.close()

    threads = [threading.Thread(target=go, args=(place,)) for place in range(len(calls))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    bench.world.tally["races"] += 1
    return [answer for answer in found if answer is not None]


def asking(path: str) -> Callable[[Caller], Answer]:
    return lambda caller: caller.ask("POST", path, {} if path.endswith(("cancel", "retry")) else {"data": {}})


def cancel_or_finish(bench: Bench) -> Iterator[str]:
    """A cancellation that was accepted holds; one that came too late was told so."""
    workflow = bench.store(noted("a", seconds=0.02), noted("b"))
    for number in range(ROUNDS):
        run_id = bench.start(workflow)
        threading.Event().wait(0.004 * (number % 12))
        [answer] = together(bench, asking(f"/v1/runs/{run_id}:cancel"))
        status = bench.ended(run_id)["status"]
        if (answer.status in ACCEPTED) != (status == "cancelled") or answer.status not in (*ACCEPTED, 409):
            yield f"run {run_id}: the cancellation was answered with {answer.status}, the run is {status}"


def approve_or_reject(bench: Bench) -> Iterator[str]:
    """Two people and a deadline: one decision, and whoever was not first is told so."""
    ask = {"id": "a", "type": "approval", "config": {"title": "leave", "timeout": "400ms", "on_timeout": "approve"}}
    edges = [{"source": "a", "target": "yes", "when": "approved"}, {"source": "a", "target": "no", "when": "rejected"}]
    workflow = bench.store(ask, noted("yes"), noted("no"), edges=edges)
    for number in range(ROUNDS):
        run_id = bench.start(workflow)
        waiting = _waiting_step(bench, run_id)
        threading.Event().wait(0.05 * (number % 9))
        step = f"/v1/runs/{run_id}/steps/{waiting}"
        approved, rejected = together(bench, asking(f"{step}:approve"), asking(f"{step}:reject"))
        run = bench.ended(run_id)
        steps = {each["node_id"]: each for each in run["steps"]}
        decided = (steps["a"]["output"]["decision"], steps["a"]["output"]["by"] is not None)
        won = [word for word, each in (("approved", approved), ("rejected", rejected)) if each.status in ACCEPTED]
        expected = (won[0], True) if won else ("approved", False)
        if len(won) > 1 or decided != expected:
            yield f"run {run_id}: answers {approved.status} and {rejected.status}, the decision is {decided}"
        taken = [node for node in ("yes", "no") if steps[node]["status"] == "completed"]
        if taken != ["yes" if decided[0] == "approved" else "no"]:
            yield f"run {run_id}: {decided}, and yet {taken} was done"


def retry_or_cancel(bench: Bench) -> Iterator[str]:
    """A failed run is retried by two and cancelled by a third: one retry, and an end that fits the answers."""
    broken = {**noted("a", fail_times=1), "retry": {"max_attempts": 1}}
    workflow = bench.store(broken, noted("b", seconds=0.02))
    for _ in range(ROUNDS):
        run_id = bench.start(workflow)
        bench.ended(run_id)
        path = f"/v1/runs/{run_id}"
        answers = together(bench, asking(f"{path}:retry"), asking(f"{path}:retry"), asking(f"{path}:cancel"))
        retried = sum(answer.status in ACCEPTED for answer in answers[:2])
        run = bench.ended(run_id)
        was_cancelled = answers[2].status in ACCEPTED
        if retried not in (1, 1 + was_cancelled):  # what was cancelled in between may be retried again
            yield f"run {run_id}: retried {retried} times ({[answer.status for answer in answers]})"
        if run["status"] != ("cancelled" if was_cancelled and retried == 1 else "completed"):
            yield f"run {run_id}: cancel was answered with {answers[2].status}, the run is {run['status']}"


def _waiting_step(bench: Bench, run_id: str) -> str:
    """The approval's id, as soon as it can be decided."""
    while True:
        step = next(each for each in bench.run_of(run_id)["steps"] if each["node_id"] == "a")
        if step["status"] != "pending" and step["started_at"] is not None:
            return str(step["id"])
