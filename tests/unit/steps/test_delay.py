"""delay: later."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from flowforge.steps.base import Completed, Failed, Waiting
from flowforge.steps.delay import Delay
from tests.support.steps import NOW, Attempt


@pytest.fixture
def attempt(tmp_path: Path) -> Attempt:
    return Attempt(home=tmp_path)


def test_it_works(attempt: Attempt) -> None:
    done = Completed(output={"until": "2026-01-01T12:01:30.000000Z"})
    expected = Waiting(until=NOW + timedelta(seconds=90), then=done)
    assert attempt.run(Delay(), {"duration": "1m30s"}) == expected


@pytest.mark.parametrize(
    ("config", "pointer", "code"),
    [
        ({}, "", "one_of"),
        ({"duration": "1s", "until": "2026-01-01T00:00:00Z"}, "", "one_of"),
        ({"duration": "soon"}, "/duration", "invalid_duration"),
        ({"duration": -1}, "/duration", "invalid_duration"),
        ({"until": "tomorrow"}, "/until", "invalid_until"),
        ({"until": "2026-13-01T00:00:00Z"}, "/until", "invalid_until"),
    ],
)
def test_it_rejects_what_is_no_moment(config: dict[str, Any], pointer: str, code: str) -> None:
    (fault,) = Delay().check(config)
    assert (fault.pointer, fault.code) == (pointer, code)


@pytest.mark.parametrize("config", [{"duration": "soon"}, {"until": "tomorrow"}, {"until": 5}])
def test_it_rejects_rendered_values_too(attempt: Attempt, config: dict[str, Any]) -> None:
    outcome = attempt.run(Delay(), config)
    assert isinstance(outcome, Failed)
    assert (outcome.code, outcome.retryable) == ("invalid_config", False)


@pytest.mark.parametrize(
    ("until", "seconds"),
    [
        ("2026-01-01T12:00:05Z", 5),
        ("2026-01-01T14:00:05+02:00", 5),
        ("2026-01-01T12:00:05", 5),
        ("2026-01-02", 43_200),
    ],
)
def test_until_is_a_moment(attempt: Attempt, until: str, seconds: int) -> None:
    outcome = attempt.run(Delay(), {"until": until})
    assert isinstance(outcome, Waiting)
    assert outcome.until == NOW + timedelta(seconds=seconds)


@pytest.mark.parametrize("config", [{"until": "2020-01-01T00:00:00Z"}, {"duration": 0}])
def test_what_has_passed_is_not_waited_for(attempt: Attempt, config: dict[str, Any]) -> None:
    assert isinstance(attempt.run(Delay(), config), Completed)


def test_it_waits_no_longer_than_its_timeout(attempt: Attempt) -> None:
    attempt.timeout_seconds = 60
    outcome = attempt.run(Delay(), {"duration": "1m"})
    assert isinstance(outcome, Waiting)
    assert isinstance(outcome.then, Completed)
    outcome = attempt.run(Delay(), {"duration": "61s"})
    assert isinstance(outcome, Waiting)
    assert isinstance(outcome.then, Failed)
    assert (outcome.until, outcome.then.code) == (NOW + timedelta(seconds=60), "timeout")
