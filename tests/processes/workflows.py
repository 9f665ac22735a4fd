"""What the processes are given to do."""

import itertools
from collections.abc import Mapping
from textwrap import dedent
from typing import Any

from tests.bench.client import Client

Node = dict[str, Any]

# Ignores SIGTERM, and so does the daemon that it has started, in a session of its own.
DEAF = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf', flush=True); time.sleep(600)"
STUBBORN = dedent(
    f"""
    import subprocess, sys
    def main():
        subprocess.Popen([sys.executable, "-c", {DEAF!r}], start_new_session=True)
        exec({DEAF!r})
    """
)
# Prints `line 0`, `line 1` … each once the file of that name is there, and ends once there is `end`.
LISTENER = dedent(
    """
    import os, time
    def main(folder, password):
        said = 0
        while not os.path.exists(f"{folder}/end"):
            if os.path.exists(f"{folder}/{said}"):
                print(f"line {said}", flush=True)
                said += 1
            time.sleep(0.01)
        return said
    """
)
BRIEF = "def main(seconds):\n    import time\n    time.sleep(seconds)\n    return seconds\n"


def work(node_id: str, seconds: float = 0.02, **more: Any) -> Node:
    return {"id": node_id, "type": "work", "config": {"seconds": seconds}} | more


def python(node_id: str, code: str = BRIEF, **more: Any) -> Node:
    config: dict[str, Any] = {"code": code}
    if code == BRIEF:
        config["inputs"] = {"seconds": 0.1}
    return {"id": node_id, "type": "python", "config": config} | more


def delay(node_id: str, duration: str) -> Node:
    return {"id": node_id, "type": "delay", "config": {"duration": duration}}


def transform(node_id: str) -> Node:
    return {"id": node_id, "type": "transform", "config": {"values": {"n": "{{ 1 }}"}}}


def flaky(node_id: str) -> Node:
    retry = {"max_attempts": 4, "initial_delay": "50ms"}
    return {"id": node_id, "type": "work", "config": {"seconds": 0.01, "fail_times": 2}, "retry": retry}


def chain(*nodes: Node) -> dict[str, Any]:
    edges = [{"source": a["id"], "target": b["id"]} for a, b in itertools.pairwise(nodes)]
    return {"nodes": list(nodes), "edges": edges}


def fan(first: Node, *middle: Node) -> dict[str, Any]:
    """One, then several at once, then a join."""
    edges = [{"source": first["id"], "target": node["id"]} for node in middle]
    edges += [{"source": node["id"], "target": "join"} for node in middle]
    return {"nodes": [first, *middle, transform("join")], "edges": edges}


def mapping(node_id: str, count: int) -> Node:
    """The same work for each of `count` items, five at a time."""
    step = {"type": "work", "config": {"seconds": 0.02}}
    config = {"items": list(range(count)), "step": step, "max_concurrency": 5}
    return {"id": node_id, "type": "map", "config": config}


CHILD = chain(work("child", 0.01), delay("rest", "50ms"))
CHILDREN: Node = {"id": "runs", "type": "map", "config": {"items": [{}, {}, {}], "workflow_id": "{{ inputs.child }}"}}
ONE_CHILD: Node = {"id": "run", "type": "workflow", "config": {"workflow_id": "{{ inputs.child }}"}}

MIXED: Mapping[str, dict[str, Any]] = {
    "chain": chain(*(work(f"s{n}") for n in range(6))),
    "fan": fan(transform("first"), *(work(f"s{n}", 0.03) for n in range(8))),
    "processes": fan(work("first"), python("left"), python("right")),
    "mapping": chain(transform("first"), mapping("each", 12), work("after")),
    "children": chain(CHILDREN, ONE_CHILD, work("after")),
    "waiting": chain(work("before"), delay("pause", "300ms"), work("after")),
    "retrying": fan(transform("first"), flaky("left"), flaky("right"), work("steady")),
}


def start_mixed(client: Client, each: int) -> list[str]:
    """Start `each` runs of every kind; their ids."""
    ids, child = [], client.create("child", CHILD)
    for name, definition in MIXED.items():
        workflow = client.create(name, definition)
        items = [{"inputs": {"child": child}} for _ in range(each)]
        answers = client.call("POST", f"/v1/workflows/{workflow}/runs:batch", {"items": items})["data"]
        ids += [answer["run"]["id"] for answer in answers]
    return ids


def ended_count(client: Client) -> int:
    """Runs that have ended, of all workflows."""
    totals = [
        client.call("GET", f"/v1/runs?status={status}&page=1&limit=1")["meta"]["total"]
        for status in ("completed", "failed", "cancelled")
    ]
    return int(sum(totals))


def run_of(client: Client, run_id: str) -> Any:
    return client.call("GET", f"/v1/runs/{run_id}")["data"]


def logged(client: Client, run_id: str) -> list[str]:
    """The newest log lines of the run's only step."""
    return [line["message"] for step in run_of(client, run_id)["steps"] for line in step["logs"]]


def statuses(client: Client, run_id: str) -> dict[str, str]:
    """The status of each step by its node."""
    return {step["node_id"]: step["status"] for step in run_of(client, run_id)["steps"]}


def event_names(client: Client, run_id: str) -> list[str]:
    """What has been told of the run, in order."""
    return [event["event"] for event in client.call("GET", f"/v1/runs/{run_id}/events?limit=1000")["data"]]
