"""What every step type owes the engine, asked of each in turn. A new type is added to CASES; a test says so."""

import json
import re
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from flowforge.core.jsonschema import compile_schema
from flowforge.core.redaction import Redactor
from flowforge.steps.base import Completed, Failed, Outcome, StepCancelled, StepType, Waiting
from flowforge.steps.registry import default_registry
from tests.support import git_server
from tests.support.datasets import shipped
from tests.support.git_server import GitServer
from tests.support.http_stub import HttpStub
from tests.support.steps import Attempt, Tokens

CANARY = "canary-5f3a9c"
BUSY = "def main(**inputs):\n    print('busy', flush=True)\n    while True:\n        pass\n"

Config = dict[str, Any]
REPOSITORY: GitServer  # of the module
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


def checkout(stub: HttpStub, script: str = "true", **fields: Any) -> Config:
    """The stub's own answers are of no use to git: it is sent to the repository of the module."""
    assert stub.url
    return {"repo_url": REPOSITORY.url("app"), "command": script, **fields}


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

pytestmark = pytest.mark.processes


@pytest.fixture(scope="module", autouse=True)
def _repository(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A repository with one file, `file`, for what fetches."""
    with git_server.serve(tmp_path_factory.mktemp("repositories")) as server:
        server.repository("app", {"file": "x"})
        global REPOSITORY
        REPOSITORY = server
        yield


TYPES = {step_type.name: step_type for step_type in default_registry().all()}
with_effects = pytest.mark.parametrize(
    "step_type", [name for name, step_type in TYPES.items() if step_type.kind == "effect"], indirect=True
)


@pytest.fixture(params=TYPES)
def step_type(request: pytest.FixtureRequest) -> StepType:
    return TYPES[request.param]


@pytest.fixture
def case(step_type: StepType) -> Case:
    assert step_type.name in CASES, "a new step type: say here what it owes"
    found = CASES[step_type.name]
    if step_type.kind == "effect":
        assert found.failing, "whatever has effects can fail"
        assert found.brief or found.endless, "and last"
        assert found.secret, "and let a secret out"
    return found


@pytest.fixture
def attempt(tmp_path: Path) -> Attempt:
    return Attempt(home=tmp_path, file_roots=[tmp_path / "files"], credentials=Tokens(CANARY))


def faults(step_type: StepType, config: Config) -> list[str]:
    return [fault.pointer for fault in default_registry().faults(step_type.name, config)]


def output_of(outcome: Outcome) -> Any:
    """What it completes with, now or later; an event's payload is anything."""
    completed = outcome.then if isinstance(outcome, Waiting) else outcome
    if isinstance(outcome, Waiting) and outcome.waits_for.startswith("event:"):
        return {}
    assert isinstance(completed, Completed), outcome
    return completed.output


def test_it_works(step_type: StepType, case: Case, attempt: Attempt, stub: HttpStub) -> None:
    config = case.good(stub)
    assert faults(step_type, config) == []
    output = output_of(attempt.run(step_type, config))
    assert compile_schema(step_type.output_schema).faults(output) == []
    assert json.loads(json.dumps(output)) == output


def test_it_rejects_a_bad_config(step_type: StepType, case: Case) -> None:
    assert {pointer: faults(step_type, config) for pointer, config in case.bad.items()} == {
        pointer: [pointer] for pointer in case.bad
    }


def test_it_rejects_what_it_does_not_know(step_type: StepType, case: Case, stub: HttpStub) -> None:
    assert faults(step_type, {**case.good(stub), "no_such_field": "{{ inputs.x }}"}) == ["/no_such_field"]


def test_it_describes_itself(step_type: StepType) -> None:
    assert step_type.title
    assert step_type.description.endswith(".")
    assert step_type.config_schema["type"] == "object"
    assert step_type.config_schema["additionalProperties"] is False
    assert (step_type.queue == "process") is step_type.starts_processes
    if step_type.kind == "pure":
        assert step_type.default_timeout_seconds is None
    json.dumps([step_type.config_schema, step_type.output_schema])


def test_its_branch_is_one_that_it_names(step_type: StepType, case: Case, attempt: Attempt, stub: HttpStub) -> None:
    config = case.good(stub)
    outcome = attempt.run(step_type, config)
    ended = outcome.then if isinstance(outcome, Waiting) else outcome
    branch = ended.branch if isinstance(ended, Completed) else None
    labels = step_type.branches(config)
    assert (branch is None) is (labels is None)
    assert not labels or branch in labels


@with_effects
def test_a_failure_is_a_value(step_type: StepType, case: Case, attempt: Attempt, stub: HttpStub) -> None:
    assert case.failing is not None
    make, code = case.failing
    outcome = attempt.run(step_type, make(stub))
    assert isinstance(outcome, Failed)
    assert outcome.code == code
    assert outcome.message


@with_effects
@pytest.mark.parametrize("reason", ["cancelled", "timeout"])
def test_it_stops_when_told_to(step_type: StepType, case: Case, attempt: Attempt, stub: HttpStub, reason: str) -> None:
    if case.brief:
        pytest.skip("there is nothing to stop")
    assert case.endless is not None
    config = case.endless(stub)
    attempt.cancel_after("busy", reason)
    threading.Thread(target=lambda: stub.arrived.wait(30) and attempt.cancel.cancel(reason), daemon=True).start()
    with pytest.raises(StepCancelled, match=reason):
        attempt.run(step_type, config)
    assert list(attempt.home.glob("scratch/*")) == []


@with_effects
def test_it_does_not_begin_when_told_before(step_type: StepType, case: Case, attempt: Attempt, stub: HttpStub) -> None:
    make = case.good if case.brief else case.endless
    assert make is not None
    config = make(stub)
    attempt.cancel.cancel("cancelled")
    started = time.monotonic()
    with pytest.raises(StepCancelled, match="cancelled"):
        attempt.run(step_type, config)
    assert time.monotonic() - started < 10
    assert attempt.lines == []
    assert attempt.started == []


@with_effects
def test_secrets_do_not_get_out(step_type: StepType, case: Case, attempt: Attempt, stub: HttpStub) -> None:
    """What the engine stores is masked by the run's secrets; nothing may be in a spelling that the mask misses."""
    assert case.secret is not None
    outcome = attempt.run(step_type, case.secret(stub))
    assert isinstance(outcome, Failed)
    redactor = Redactor([CANARY])
    stored = [outcome.message, dict(outcome.details), outcome.output, [line for _, line in attempt.lines]]
    assert CANARY not in json.dumps(redactor.value(stored))
    if step_type.name in (
        "http",
        "llm",
        "ml_training",
    ):  # what the user's own code prints is his; what we say ourselves needs no mask
        assert CANARY not in outcome.message + attempt.text


PAGE = Path(__file__).parents[2] / "docs" / "steps.md"
SECTION = re.compile(r"^## `(\w+)`$(.*?)(?=^## )", re.MULTILINE | re.DOTALL)
EXAMPLE = re.compile(r"^```yaml\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def test_its_examples_in_the_documentation_are_valid(step_type: StepType) -> None:
    section = dict(SECTION.findall(PAGE.read_text())).get(step_type.name, "")
    examples = [yaml.safe_load(example) for example in EXAMPLE.findall(section)]
    assert examples, "docs/steps.md has no section with an example"
    for example in examples:
        assert example["type"] == step_type.name
        assert faults(step_type, example["config"]) == []
