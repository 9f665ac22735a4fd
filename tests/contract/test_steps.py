"""What every step type owes the engine, asked of each in turn. A new type needs a case in support/step_cases.py."""

import json
import re
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from flowforge.core.jsonschema import compile_schema
from flowforge.core.redaction import Redactor
from flowforge.steps.base import Completed, Failed, Outcome, StepCancelled, StepType, Waiting
from flowforge.steps.registry import default_registry
from tests.support import git_server, step_cases
from tests.support.http_stub import HttpStub
from tests.support.step_cases import CANARY, CASES, Case, Config
from tests.support.steps import Attempt, Tokens

pytestmark = pytest.mark.processes


@pytest.fixture(scope="module", autouse=True)
def _repository(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A repository with one file, `file`, for what fetches."""
    with git_server.serve(tmp_path_factory.mktemp("repositories")) as server:
        server.repository("app", {"file": "x"})
        step_cases.repositories.append(server)
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
        "etl",
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
