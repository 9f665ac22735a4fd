"""The workloads: those of docs/benchmarks.md. Each gives figures by name; a run that does not complete raises."""

import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from tests.bench.client import Client
from tests.bench.stacks import Stack

Figures = dict[str, float]


def chain(kind: str, length: int) -> dict[str, Any]:
    nodes = [_node(kind, f"s{n}") for n in range(length)]
    edges = [{"source": f"s{n}", "target": f"s{n + 1}"} for n in range(length - 1)]
    return {"nodes": nodes, "edges": edges}


def fan(width: int) -> dict[str, Any]:
    nodes = [*(_node("fib", f"s{n}") for n in range(width)), _node("transform", "join")]
    edges = [{"source": f"s{n}", "target": "join"} for n in range(width)]
    return {"nodes": nodes, "edges": edges, "config": {"max_concurrency": width}}


def one_step(stack: Stack, repeats: int = 50) -> Figures:
    """W4: on an idle server, from the call to the answer that says `completed`."""
    client = Client(stack.port)
    workflow = client.create("one step", chain("fib", 1))
    samples = []
    for _ in range(repeats + 5):
        time.sleep(0.02)  # idle
        began = time.perf_counter()
        run = client.start(workflow, wait="10s")
        samples.append((time.perf_counter() - began) * 1000)
        _require_completed(run)
    return {"p50 ms": _quantile(samples[5:], 0.5), "p99 ms": _quantile(samples[5:], 0.99)}


def effect_chain(stack: Stack) -> Figures:
    """W1: one run, 40 trivial effect steps in a chain."""
    return _run_time(stack, "effect chain", chain("fib", 40), 40)


def pure_chain(stack: Stack) -> Figures:
    """W1, pure: one run, 40 transform steps in a chain."""
    return _run_time(stack, "pure chain", chain("transform", 40), 40)


def parallel(stack: Stack) -> Figures:
    """W3: one run, 1,000 parallel effect steps and a join."""
    return _run_time(stack, "parallel", fan(1000), 1001)


def many_runs(stack: Stack, runs: int = 200, callers: int = 8) -> Figures:
    """W2: 200 runs of a 5-step chain, each started by a call of its own."""
    client = Client(stack.port)
    workflow = client.create("many runs", chain("fib", 5))
    client.start(workflow, wait="10s")
    return _throughput(client, workflow, runs, lambda: _spread(stack, runs, callers, lambda c: c.start(workflow)))


def batch(stack: Stack, runs: int = 200) -> Figures:
    """W2, batch: the same 200 runs, started by one call."""
    client = Client(stack.port)
    workflow = client.create("batch", chain("fib", 5))
    client.start(workflow, wait="10s")
    items = [{"inputs": {}} for _ in range(runs)]
    start = lambda: client.call("POST", f"/v1/workflows/{workflow}/runs:batch", {"items": items})  # noqa: E731
    return _throughput(client, workflow, runs, start)


def reading(stack: Stack, calls: int = 1500, callers: int = 8) -> Figures:
    """W5: one run, and lists of 50, by 8 callers."""
    client = Client(stack.port)
    workflow = client.create("reading", chain("transform", 1))
    items = [{"inputs": {}} for _ in range(200)]
    client.call("POST", f"/v1/workflows/{workflow}/runs:batch", {"items": items})
    client.wait_until_all_ended(workflow, 200)
    run = client.start(workflow, wait="10s")["id"]
    seconds_one = _timed(lambda: _spread(stack, calls, callers, lambda c: c.call("GET", f"/v1/runs/{run}")))
    seconds_list = _timed(lambda: _spread(stack, calls, callers, lambda c: c.call("GET", "/v1/runs?limit=50")))
    return {"GET one /s": calls / seconds_one, "list of 50 /s": calls / seconds_list}


def footprint(stack: Stack) -> Figures:
    """W6: idle, from the command to the first answer (the database is there already); resident memory."""
    return {"start s": stack.start_seconds, "memory MB": stack.memory_mb()}


WORKLOADS: Mapping[str, Callable[[Stack], Figures]] = {
    "W6": footprint,
    "W4": one_step,
    "W1": effect_chain,
    "W1 pure": pure_chain,
    "W3": parallel,
    "W2": many_runs,
    "W2 batch": batch,
    "W5": reading,
}


def _node(kind: str, node_id: str) -> dict[str, Any]:
    config = {"n": 10} if kind == "fib" else {"values": {"n": "{{ 10 }}"}}
    return {"id": node_id, "type": kind, "config": config}


def _run_time(stack: Stack, name: str, definition: Mapping[str, Any], steps: int) -> Figures:
    """As the server measured it: from the run's start to its end."""
    client = Client(stack.port)
    workflow = client.create(name, definition)
    _require_completed(client.start(workflow, wait="60s"))
    began = time.perf_counter()
    _require_completed(client.start(workflow, wait="60s"))
    seconds = time.perf_counter() - began
    return {"ms": seconds * 1000, "steps/s": steps / seconds}


def _throughput(client: Client, workflow: str, runs: int, start: Callable[[], object]) -> Figures:
    began = time.perf_counter()
    start()
    client.wait_until_all_ended(workflow, runs + 1)
    seconds = time.perf_counter() - began
    return {"s": seconds, "runs/s": runs / seconds, "steps/s": runs * 5 / seconds}


def _spread(stack: Stack, calls: int, callers: int, call: Callable[[Client], object]) -> None:
    """Make `calls` calls from `callers` threads, each with a connection of its own."""

    def caller(count: int) -> None:
        client = Client(stack.port)
        for _ in range(count):
            call(client)

    with ThreadPoolExecutor(callers) as pool:
        list(pool.map(caller, [calls // callers] * callers))


def _timed(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def _quantile(samples: Sequence[float], share: float) -> float:
    ordered = sorted(samples)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))] if share != 0.5 else statistics.median(ordered)


def _require_completed(run: Mapping[str, Any]) -> None:
    if run["status"] != "completed":
        raise RuntimeError(f"the run is {run['status']}: {run['error']}")
