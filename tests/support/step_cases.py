"""What the contract suite (tests/contract/test_steps.py) asks of each step type: configs, good and bad."""

import json
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from tests.support.datasets import shipped
from tests.support.git_server import GitServer
from tests.support.http_stub import HttpStub

CANARY = "canary-5f3a9c"
BUSY = "def main(**inputs):\n    print('busy', flush=True)\n    while True:\n        pass\n"

Config = dict[str, Any]
repositories: list[GitServer] = []  # the one of whoever asks
# the address of a web server of the test, and how to make that hold its answer back
MakeConfig = Callable[[HttpStub], Config]


@dataclass(frozen=True, kw_only=True)
class Case:
    """One step type, and what to ask of it."""

    good: MakeConfig
    bad: Mapping[str, Config]  # by the pointer of the one fault
    # of those that have effects:
    failing: tuple[MakeConfig, str] | None = None  # a config, and the code it fails with
    endless: MakeConfig | None = None  # runs until it is stopped; says `busy` once it runs
    secret: MakeConfig | None = None  # holds CANARY where a secret belongs, and lets it out if anything does
    brief: bool = False  # one short call: there is nothing to stop once it has begun


def slow(stub: HttpStub) -> Config:
    stub.reply(release=threading.Event())
    return {"url": stub.url, "timeout": "60s"}


def endless_model(stub: HttpStub) -> Config:
    stub.reply(release=threading.Event())
    return model(stub, max_tokens=9)


def model(stub: HttpStub, **fields: Any) -> Config:
    return {"provider": "openai_compatible", "base_url": stub.url, "model": "m", "prompt": "Hello?", **fields}


def answering_model(stub: HttpStub) -> Config:
    chunk = {"choices": [{"index": 0, "delta": {"content": "Hello"}, "finish_reason": "stop"}]}
    events = f"data: {json.dumps(chunk)}\n\ndata: [DONE]\n\n"
    stub.reply(text=events, headers={"Content-Type": "text/event-stream"})
    return model(stub)


def refusing_model(stub: HttpStub) -> Config:
    stub.reply(401, json={"error": {"message": f"wrong key: {CANARY}"}})
    return model(stub, credential="key")


def refused(stub: HttpStub) -> Config:
    stub.reply(500, text=f"denied to {CANARY}")
    return {"url": f"{stub.url}/?key={CANARY}", "headers": {"Authorization": f"Bearer {CANARY}"}}


def rows_of_the_web(stub: HttpStub) -> Config:
    stub.reply(text="a,b\n1,x\n")
    return {"source_url": f"{stub.url}/a.csv", "target_url": f"{stub.url}/b.json"}


def endless_rows(stub: HttpStub) -> Config:
    stub.reply(release=threading.Event())
    return {"source_url": f"{stub.url}/a.csv", "target_url": f"{stub.url}/b.csv"}


def refused_rows(stub: HttpStub) -> Config:
    stub.reply(500, text=f"denied to {CANARY}")
    return {
        "source_url": f"{stub.url}/a.csv?key={CANARY}",
        "target_url": f"{stub.url}/b.csv",
        "source_credential": "key",
    }


def checkout(stub: HttpStub, script: str = "true", **fields: Any) -> Config:
    """The stub's own answers are of no use to git: it is sent to the repository of the module."""
    assert stub.url
    return {"repo_url": repositories[-1].url("app"), "command": script, **fields}


def dataset(stub: HttpStub) -> Config:
    stub.reply(text=shipped("iris"), headers={"Content-Type": "text/csv"})
    return {"model_name": "iris", "target": "target", "dataset_url": stub.url, "model_url": f"{stub.url}/m.zip"}


def slow_dataset(stub: HttpStub) -> Config:
    stub.reply(release=threading.Event())
    return {"model_name": "iris", "target": "target", "dataset_url": f"{stub.url}/a.csv", "model_url": stub.url}


def refused_dataset(stub: HttpStub) -> Config:
    stub.reply(500, text=f"denied to {CANARY}")
    return {**dataset(stub), "dataset_url": f"{stub.url}/a.csv?key={CANARY}", "dataset_credential": "key"}


SHELL = {"command": "bash", "args": ["-c", "trap '' TERM; echo busy; while :; do sleep 600; done"]}

CASES: dict[str, Case] = {
    "transform": Case(
        good=lambda _: {"values": {"a": 1, "b": [{"c": None}]}},
        bad={"/values": {"values": []}, "/value": {"values": {}, "value": {}}},
    ),
    "condition": Case(
        good=lambda _: {"expression": True},
        bad={"/expression": {"expression": "inputs.a > 1"}, "/else": {"expression": True, "else": 1}},
    ),
    "switch": Case(
        good=lambda _: {"expression": 3, "cases": {"first": 3}, "default": "other"},
        bad={"/default": {"expression": 1, "default": 3}, "/cases": {"expression": 1, "cases": []}},
    ),
    "delay": Case(
        good=lambda _: {"duration": "5m"},
        bad={"/duration": {"duration": "soon"}, "/until": {"until": 5}},
    ),
    "map": Case(
        good=lambda _: {"items": [], "step": {"type": "transform", "config": {"values": {"n": "{{ item }}"}}}},
        bad={
            "": {"items": []},
            "/items": {"items": {}, "workflow_id": "w"},
            "/inputs": {"items": [], "step": {}, "inputs": {}},
            "/on_error": {"items": [], "step": {}, "on_error": "{{ inputs.x }}"},
        },
    ),
    "workflow": Case(
        good=lambda _: {"workflow_id": "w", "inputs": {"a": 1}, "wait": False},
        bad={"/workflow_id": {}, "/wait": {"workflow_id": "w", "wait": 3}},
        failing=(lambda _: {"workflow_id": "gone"}, "not_found"),
        secret=lambda _: {"workflow_id": "gone", "inputs": {"token": CANARY}},
        brief=True,
    ),
    "approval": Case(
        good=lambda _: {"title": "Go?", "form": {"type": "object"}, "assignees": ["ada"], "timeout": "1h"},
        bad={
            "/form/type": {"form": {"type": "thing"}},
            "/assignees": {"assignees": "ada"},
            "/timeout": {"timeout": "soon"},
            "/on_timeout": {"on_timeout": "retry"},
        },
    ),
    "wait_event": Case(
        good=lambda _: {"event": "order.paid", "match": "{{ payload.n > 1 }}"},
        bad={
            "/event": {"event": "order.*"},
            "/match": {"event": "a", "match": 1},
            "/timeout": {"event": "a", "timeout": "soon"},
        },
    ),
    "emit": Case(
        good=lambda _: {"event": "order.paid", "payload": {"order": 1}},
        bad={"/event": {"event": "a b"}, "/payload": {"event": "a", "payload": []}},
        failing=(lambda _: {"event": "a", "payload": {"text": "x" * 2**20}}, "payload_too_large"),
        secret=lambda _: {"event": "a", "payload": {"token": CANARY, "text": "x" * 2**20}},
        brief=True,
    ),
    "http": Case(
        good=lambda stub: {"method": "POST", "url": stub.url, "json": {"a": 1}},
        bad={
            "/url": {},
            "/method": {"url": "https://a", "method": "FETCH"},
            "/body": {"url": "https://a", "json": 1, "body": "x"},
        },
        failing=(lambda stub: {"url": stub.url, "expect_status": 404}, "http_status"),
        endless=slow,
        secret=refused,
    ),
    "llm": Case(
        good=answering_model,
        bad={
            "/model": {"provider": "openai", "prompt": "a"},
            "/base_url": {"provider": "openai_compatible", "model": "m", "prompt": "a"},
            "/tools/0": {"provider": "openai", "model": "m", "prompt": "a", "tools": [{}]},
        },
        failing=(model, "invalid_response"),
        endless=endless_model,
        secret=refusing_model,
    ),
    "generic": Case(
        good=lambda _: {"command": "echo hello"},
        bad={"/command": {"command": ""}, "/args": {"command": "a", "args": "b"}},
        failing=(lambda _: {"command": "false"}, "exit_code"),
        endless=lambda _: SHELL,
        secret=lambda _: {
            "command": "bash -c 'echo $TOKEN; cat; echo $TOKEN >&2; exit 1'",
            "environment": {"TOKEN": CANARY},
            "stdin": CANARY,
        },
    ),
    "etl": Case(
        good=rows_of_the_web,
        bad={
            "/source_url": {"source_url": "ftp://h/a.csv", "target_url": "file://b.csv"},
            "/target_url": {"source_url": "file://a.csv", "target_url": "s3://bucket"},
            "/mode": {"source_url": "file://a.csv", "target_url": "https://h/b.csv", "mode": "append"},
            "/transformation": {"source_url": "file://a.csv", "target_url": "file://b.csv", "transformation": "sort"},
        },
        failing=(lambda stub: {"source_url": f"{stub.url}/a", "target_url": f"{stub.url}/b"}, "invalid_data"),
        endless=endless_rows,
        secret=refused_rows,
    ),
    "ci": Case(
        good=lambda stub: checkout(stub, "cat file", artifacts=["file"], environment="test"),
        bad={
            "/repo_url": {"repo_url": "ext::sh -c id", "command": "true"},
            "/branch": {"repo_url": "https://a/b", "command": "true", "branch": "--upload-pack=id"},
            "/command": {"repo_url": "https://a/b", "command": "echo {{ inputs.x }}"},
            "/artifacts/0": {"repo_url": "https://a/b", "command": "true", "artifacts": ["/etc/passwd"]},
        },
        failing=(lambda stub: checkout(stub, "exit 3"), "exit_code"),
        endless=lambda stub: checkout(stub, "trap '' TERM; echo busy; while :; do sleep 600; done"),
        secret=lambda stub: checkout(
            stub, "echo $TOKEN; cat .git/config; exit 1", environment={"TOKEN": CANARY}, credential="key"
        ),
    ),
    "ml_training": Case(
        good=dataset,
        bad={
            "/target": {"model_name": "m", "dataset_url": "file://a.csv"},
            "/hyperparameters/depth": {
                "model_name": "m", "dataset_url": "file://a.csv", "target": "t", "hyperparameters": {"depth": 3},
            },
            "/seed": {"mode": "predict", "dataset_url": "file://a.csv", "model_url": "file://m.zip", "seed": 1},
        },
        failing=(lambda stub: {**dataset(stub), "target": "species"}, "invalid_data"),
        endless=slow_dataset,
        secret=refused_dataset,
    ),
    "python": Case(
        good=lambda _: {"code": "def main(a):\n    return {'b': a}", "inputs": {"a": [1]}},
        bad={"/code": {"code": "def main(:"}, "/inputs": {"code": "def main(): pass", "inputs": 3}},
        failing=(lambda _: {"code": "def main():\n    raise ValueError"}, "python_error"),
        endless=lambda _: {"code": BUSY},
        secret=lambda _: {
            "code": "def main(token):\n    print(token)\n    raise ValueError(token)",
            "inputs": {"token": CANARY},
        },
    ),
}  # fmt: skip
