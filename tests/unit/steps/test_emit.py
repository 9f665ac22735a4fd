"""emit: what is published, under which key."""

from pathlib import Path

import pytest

from flowforge.steps.base import Completed, Failed
from flowforge.steps.emit import MAX_PAYLOAD_BYTES, Emit
from tests.support.steps import Attempt, Events


@pytest.fixture
def attempt(tmp_path: Path) -> Attempt:
    return Attempt(home=tmp_path)


def test_it_works(attempt: Attempt) -> None:
    outcome = attempt.run(Emit(), {"event": "order.paid", "payload": {"order": 1}})
    assert outcome == Completed(output={"id": "event-1", "event": "order.paid", "matched": 2})
    assert attempt.events.published == {"key-1": ("order.paid", {"order": 1})}
    assert attempt.lines == []


def test_it_rejects_a_payload_that_is_too_large(attempt: Attempt) -> None:
    outcome = attempt.run(Emit(), {"event": "a", "payload": {"text": "x" * MAX_PAYLOAD_BYTES}})
    assert isinstance(outcome, Failed)
    assert (outcome.code, outcome.retryable) == ("payload_too_large", False)
    assert attempt.events.published == {}


def test_a_second_attempt_publishes_nothing_new(attempt: Attempt) -> None:
    first, second = (attempt.run(Emit(), {"event": "a"}) for _ in range(2))
    assert first == second
    assert len(attempt.events.published) == 1


def test_what_no_database_holds_is_replaced(attempt: Attempt) -> None:
    attempt.run(Emit(), {"event": "a", "payload": {"text": "a\x00b"}})
    assert "\x00" not in attempt.events.published["key-1"][1]["text"]


def test_steps_that_could_not_be_asked_are_logged(tmp_path: Path) -> None:
    attempt = Attempt(home=tmp_path, events=Events(unclear=3))
    attempt.run(Emit(), {"event": "a"})
    assert attempt.lines == [("warning", "3 steps wait on: their match could not be evaluated")]
