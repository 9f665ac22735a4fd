"""approval: what it asks for, and what each end of it is."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from flowforge.steps.approval import Approval, decided
from flowforge.steps.base import Completed, Failed, Waiting
from tests.support.steps import NOW, Attempt


@pytest.fixture
def attempt(tmp_path: Path) -> Attempt:
    return Attempt(home=tmp_path)


def test_it_works(attempt: Attempt) -> None:
    asks = {"title": "Go?", "instructions": "Look.", "form": {"type": "object"}, "assignees": ["ada"]}
    waiting = attempt.run(Approval(), {**asks, "four_eyes": False, "timeout": "2h", "on_timeout": "reject"})
    assert isinstance(waiting, Waiting)
    assert (waiting.until, waiting.waits_for, waiting.asks) == (NOW + timedelta(hours=2), "approval", asks)
    assert waiting.then == decided("rejected", by=None, data={})


@pytest.mark.parametrize(
    ("on_timeout", "decision", "code"),
    [
        ("approve", "approved", None),
        ("reject", "rejected", "approval_rejected"),
        ("fail", "expired", "approval_expired"),
    ],
)
def test_what_the_timeout_decides(attempt: Attempt, on_timeout: str, decision: str, code: str | None) -> None:
    waiting = attempt.run(Approval(), {"timeout": 60, "on_timeout": on_timeout})
    assert isinstance(waiting, Waiting)
    then = waiting.then
    assert isinstance(then, Completed)
    assert (then.branch, then.output) == (decision, {"decision": decision, "by": None, "data": {}})
    assert (then.otherwise.code if then.otherwise else None) == code


def test_without_a_timeout_it_waits_for_ever_and_would_expire(attempt: Attempt) -> None:
    waiting = attempt.run(Approval(), {})
    assert isinstance(waiting, Waiting)
    assert waiting.until is None
    assert isinstance(waiting.then, Completed)
    assert waiting.then.branch == "expired"


def test_the_nodes_own_timeout_bounds_it(tmp_path: Path) -> None:
    waiting = Attempt(home=tmp_path, timeout_seconds=30).run(Approval(), {"timeout": "1h", "on_timeout": "approve"})
    assert isinstance(waiting, Waiting)
    assert waiting.until == NOW + timedelta(seconds=30)
    assert isinstance(waiting.then, Failed)
    assert waiting.then.code == "timeout"


@pytest.mark.parametrize(
    ("config", "pointer", "code"),
    [
        ({"timeout": "soon"}, "/timeout", "invalid_duration"),
        ({"form": {"type": "thing"}}, "/form/type", "invalid_schema"),
        ({"form": {"$ref": "https://example.com/x"}}, "/form", "remote_reference"),
    ],
)
def test_it_rejects_what_nobody_can_answer(config: dict[str, Any], pointer: str, code: str) -> None:
    (fault,) = Approval().check(config)
    assert fault.pointer.startswith(pointer)
    assert fault.code == code


def test_a_form_with_expressions_is_looked_at_when_they_are_rendered(attempt: Attempt) -> None:
    assert Approval().check({"form": {"maximum": "{{ inputs.most }}"}}) == []
    outcome = attempt.run(Approval(), {"form": {"maximum": "many"}})
    assert isinstance(outcome, Failed)
    assert (outcome.code, outcome.retryable) == ("invalid_config", False)


def test_it_asks_for_four_eyes_if_told_to(attempt: Attempt) -> None:
    waiting = attempt.run(Approval(), {"title": "Go?", "four_eyes": True})
    assert isinstance(waiting, Waiting)
    assert waiting.asks == {"title": "Go?", "four_eyes": True}
