"""condition and switch: which way on."""

from pathlib import Path
from typing import Any

import pytest

from flowforge.steps.base import Completed, StepType
from flowforge.steps.condition import Condition
from flowforge.steps.switch import Switch
from tests.support.steps import Attempt


@pytest.fixture
def attempt(tmp_path: Path) -> Attempt:
    return Attempt(home=tmp_path)


def test_it_works(attempt: Attempt) -> None:
    assert attempt.run(Condition(), {"expression": 3 > 2}) == Completed(output={"result": True}, branch="true")


@pytest.mark.parametrize("step_type", [Condition(), Switch()])
@pytest.mark.parametrize("text", ["inputs.total > 1000", "1", "true", ""])
def test_it_rejects_plain_text(step_type: StepType, text: str) -> None:
    (fault,) = step_type.check({"expression": text})
    assert (fault.pointer, fault.code) == ("/expression", "not_an_expression")


@pytest.mark.parametrize("step_type", [Condition(), Switch()])
@pytest.mark.parametrize("expression", ["{{ inputs.a }}", "is {{ inputs.a }}", True, 0, None, []])
def test_it_accepts_expressions_and_values(step_type: StepType, expression: Any) -> None:
    assert step_type.check({"expression": expression}) == []


@pytest.mark.parametrize(
    ("value", "branch"),
    [(True, "true"), (1, "true"), ("a", "true"), ("0", "true"), ([0], "true"), ({"a": 1}, "true"), ("True", "true")]
    + [(value, "false") for value in (False, 0, 0.0, "", " ", "false", "False ", None, [], {})],
)
def test_what_is_true(attempt: Attempt, value: Any, branch: str) -> None:
    outcome = attempt.run(Condition(), {"expression": value})
    assert isinstance(outcome, Completed)
    assert outcome.branch == branch
    assert Condition().branches({"expression": value}) == {"true", "false"}


CASES = {"one": 1, "yes": True, "text": "1", "none": None, "list": [1, "a"]}


@pytest.mark.parametrize(
    ("value", "label"),
    [(1, "one"), (1.0, "one"), (True, "yes"), ("1", "text"), (None, "none"), ([1, "a"], "list")],
)
def test_a_switch_takes_the_case_with_the_value(attempt: Attempt, value: Any, label: str) -> None:
    outcome = attempt.run(Switch(), {"expression": value, "cases": CASES, "default": "other"})
    assert outcome == Completed(output={"value": value, "branch": label}, branch=label)


@pytest.mark.parametrize(("value", "label"), [("de", "de"), (3, "3"), (False, "false"), (None, "null"), ({}, "{}")])
def test_a_switch_without_a_default_takes_the_value_as_text(attempt: Attempt, value: Any, label: str) -> None:
    outcome = attempt.run(Switch(), {"expression": value, "cases": {"other": "never"}})
    assert outcome == Completed(output={"value": value, "branch": label}, branch=label)


def test_a_switch_takes_its_default(attempt: Attempt) -> None:
    outcome = attempt.run(Switch(), {"expression": 2, "cases": CASES, "default": "other"})
    assert outcome == Completed(output={"value": 2, "branch": "other"}, branch="other")


def test_the_labels_of_a_switch() -> None:
    cases = {"a": 1, "b": 2}
    assert Switch().branches({"expression": 1, "cases": cases, "default": "c"}) == {"a", "b", "c"}
    any_text: frozenset[str] = frozenset()
    assert Switch().branches({"expression": 1, "cases": cases}) == any_text
    assert Switch().branches({"expression": 1, "cases": cases, "default": "{{ inputs.x }}"}) == any_text
    assert Switch().branches({"expression": 1, "cases": "{{ inputs.x }}", "default": "c"}) == any_text
