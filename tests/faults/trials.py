"""Trials with a plan of their own: each starts its runs, does its harm, and says what has to come of just that."""

import itertools
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from tests.faults import nemesis, scenarios
from tests.faults.client import Answer, Caller, CutOff, Unheard
from tests.faults.judge import Verdict
from tests.faults.step_types import HARMS
from tests.faults.world import World
from tests.processes.workflows import STUBBORN
from tests.support.service import until

END_SECONDS = 90.0
HANG_SECONDS = 1.0  # the timeout of steps that hang
KILLED_WITHIN = 10.0  # seconds after it
CRASHING = ("kill", "exit")
NEIGHBOURS = 16
MANY_PILLS = 24  # more than a pool has threads

_names = itertools.count()


@dataclass(frozen=True, kw_only=True)
class Trial:
    name: str
    faults: str
    body: Callable[["Bench"], Iterator[str]]

    def run(self, world: World, seed: int) -> Verdict:
        known = scenarios.stored(world)
        bench = Bench(world, world.caller())
        found: list[str] = []
        try:
            found += self.body(bench)
            world.heal()
            scenarios.await_quiet(world)
        finally:
            bench.caller.close()
        verdict = scenarios.judge_since(world, known)
        verdict.violations = found + verdict.violations
        verdict.counts["told ok"] = bench.accepted
        return verdict


class Bench:
    """What a trial works with."""

    def __init__(self, world: World, caller: Caller) -> None:
        self.world = world
        self.caller = caller
        self.accepted = 0

    def store(self, *nodes: dict[str, Any], **parts: Any) -> str:
        """A workflow in which each node follows the one before it, unless edges are given."""
        edges = [{"source": first["id"], "target": second["id"]} for first, second in itertools.pairwise(nodes)]
        definition = {"nodes": list(nodes), "edges": edges, **parts}
        answer = self.caller.ask("POST", "/v1/workflows", {"name": f"trial {next(_names)}", "definition": definition})
        assert answer.status == 201, answer.body
        return str(answer.data["id"])

    def start(self, workflow: str, **body: Any) -> str:
        """Until it is accepted: processes may be dying meanwhile."""
        answer = self.asked("POST", f"/v1/workflows/{workflow}:run", body)
        assert answer.status in (200, 202), answer.body
        self.accepted += 1
        return str(answer.data["id"])

    def ask(self, method: str, path: str, body: Any = None) -> Answer | None:
        """None: nobody there, or not for now."""
        try:
            answer = self.caller.ask(method, path, body)
        except (Unheard, CutOff):
            return None
        return answer if answer.status < 500 else None

    def asked(self, method: str, path: str, body: Any = None) -> Answer:
        """Until somebody answers; whoever was killed is started again."""

        def ask() -> Answer | None:
            self.world.heal()
            return self.ask(method, path, body)

        return until(ask, END_SECONDS, f"{method} {path} is answered")

    def run_of(self, run_id: str) -> dict[str, Any]:
        found: dict[str, Any] = self.asked("GET", f"/v1/runs/{run_id}").data
        return found

    def ended(self, run_id: str, seconds: float = END_SECONDS) -> dict[str, Any]:
        """The run at its end."""
        deadline = time.monotonic() + seconds
        while True:
            found = self.run_of(run_id)
            if found["finished_at"] is not None:
                return found
            assert time.monotonic() < deadline, f"run {run_id} has not ended: {found}"
            time.sleep(0.05)


def noted(node_id: str, **config: Any) -> dict[str, Any]:
    return {"id": node_id, "type": "noted", "config": {"value": 1, **config}}


def python(node_id: str, code: str, **more: Any) -> dict[str, Any]:
    return {"id": node_id, "type": "python", "config": {"code": code}, **more}


# --- F1 ---------------------------------------------------------------------------------------------------------------


def step_processes_killed(bench: Bench) -> Iterator[str]:
    """A process of a step is killed, its worker lives: the attempt has failed, the next one does it."""
    code = "def main():\n    import time\n    time.sleep(1.5)\n    return 7\n"
    retry = {"max_attempts": 8, "initial_delay": "10ms", "max_delay": "50ms"}
    workflow = bench.store(python("a", code, retry=retry), noted("b"))
    runs = [bench.start(workflow) for _ in range(4)]
    for _ in range(5):
        nemesis.kill_step_process(bench.world)
    for run in map(bench.ended, runs):
        if run["status"] != "completed":
            yield f"run {run['id']} is {run['status']} ({run['error']}) after a process of its step was killed"


# --- F14 --------------------------------------------------------------------------------------------------------------


def poison(bench: Bench) -> Iterator[str]:
    """Steps that do harm fail, each with its code, and neighbours notice nothing."""
    bench.world.doomed = True
    for harm in HARMS:
        pill = {"id": "pill", "type": "pill", "config": {"harm": harm}, "retry": {"max_attempts": 1}}
        run_id = bench.start(bench.store(noted("before"), pill))
        run = bench.ended(run_id)
        code = ((run["error"] or {}).get("details") or {}).get("code")
        expected = "worker_lost" if harm in CRASHING else "step_error"
        if (run["status"], code) != ("failed", expected):
            yield f"{harm}: run {run_id} is {run['status']} with {code}, not failed with {expected}"
        bench.world.tally["pills"] += 1
    yield from _neighbours_live(bench)
    bench.world.doomed = False
    yield from _pool_is_whole(bench)


def _neighbours_live(bench: Bench) -> Iterator[str]:
    """A step that kills whoever does it takes others with it; in the end it alone has failed."""
    pill = {"id": "pill", "type": "pill", "config": {"harm": "kill"}, "on_error": "continue", "priority": 1}
    neighbours = [noted(f"n{number}", seconds=0.2) for number in range(NEIGHBOURS)]
    run = bench.ended(bench.start(bench.store(pill, *neighbours, edges=[], config={"max_concurrency": NEIGHBOURS})))
    failed = [step["node_id"] for step in run["steps"] if step["status"] != "completed"]
    if run["status"] != "completed" or failed != ["pill"]:
        yield f"run {run['id']} is {run['status']}; beside a step that kills its workers {failed} did not complete"
    bench.world.tally["pills"] += 1


def _pool_is_whole(bench: Bench) -> Iterator[str]:
    """As many quiet pills as a pool has threads, at once: and its threads still work."""
    pills = [
        {"id": f"p{n}", "type": "pill", "config": {"harm": "system_exit"}, "retry": {"max_attempts": 1}}
        for n in range(MANY_PILLS)
    ]
    bench.ended(bench.start(bench.store(*pills, edges=[], config={"max_concurrency": MANY_PILLS})))
    workflow = bench.store(*(noted(f"n{n}") for n in range(8)), edges=[])
    began = time.monotonic()
    run = bench.ended(bench.start(workflow))
    if run["status"] != "completed" or time.monotonic() - began > KILLED_WITHIN:
        yield f"after pills a plain run is {run['status']} after {time.monotonic() - began:.1f} s"


# --- F15 --------------------------------------------------------------------------------------------------------------


def hangs(bench: Bench) -> Iterator[str]:
    """What does not hear that its time is up is ended all the same, with all that it has started."""
    runs = [
        bench.start(bench.store(python("a", STUBBORN, timeout=HANG_SECONDS, retry={"max_attempts": 1})))
        for _ in range(3)
    ]
    for how in ("spin", "sleep", "join"):
        config = {"how": how, "seconds": 6}
        node = {"id": "a", "type": "stubborn", "config": config, "timeout": HANG_SECONDS, "retry": {"max_attempts": 1}}
        runs.append(bench.start(bench.store(node)))
    for run in map(bench.ended, runs):
        step = run["steps"][0]
        if (run["status"], step["error"] and step["error"]["code"]) != ("failed", "timeout"):
            yield f"run {run['id']} is {run['status']}, its step ended with {step['error']}"
        elif step["duration_ms"] > 1000 * (HANG_SECONDS + KILLED_WITHIN):
            yield f"run {run['id']}: its step was ended after {step['duration_ms']} ms"
    bench.world.tally["hangs"] += len(runs)


# --- F21 --------------------------------------------------------------------------------------------------------------


def changed_under_way(bench: Bench) -> Iterator[str]:
    """A definition changes while runs of it are under way, and back: each goes on with what it began with."""
    workflow = bench.store(*_versioned(1), output={"sum": "{{ steps.c.output }}"})
    runs: dict[str, int] = {}
    for version in (1, 2, 3):
        if version > 1:
            definition = {"nodes": _versioned(version), "edges": _EDGES, "output": {"sum": "{{ steps.c.output }}"}}
            answer = bench.caller.ask("PATCH", f"/v1/workflows/{workflow}", {"definition": definition})
            assert answer.status == 200, answer.body
            bench.world.tally["definitions changed"] += 1
        runs |= {bench.start(workflow): version for _ in range(10)}
    answer = bench.caller.ask("POST", f"/v1/workflows/{workflow}:rollback", {"version": 1})
    assert answer.status == 200, answer.body
    runs |= {bench.start(workflow): 1 for _ in range(10)}
    for run_id, version in runs.items():
        run = bench.ended(run_id)
        if run["outputs"] != {"sum": version * 100}:
            yield f"run {run_id} of version {version} gave {run['outputs']}"


_EDGES = [{"source": "a", "target": "b"}, {"source": "b", "target": "c"}]


def _versioned(version: int) -> list[dict[str, Any]]:
    pause = {"id": "b", "type": "delay", "config": {"duration": "2s"}}
    return [noted("a"), pause, noted("c", value=version * 100)]
