"""wait_event: which event, and until when."""

from datetime import timedelta
from pathlib import Path

import pytest

from flowforge.steps.base import Failed, Waiting
from flowforge.steps.registry import default_registry
from flowforge.steps.wait_event import WaitEvent
from tests.support.steps import NOW, Attempt


def test_it_works(tmp_path: Path) -> None:
    waiting = Attempt(home=tmp_path).run(WaitEvent(), {"event": "order.paid", "timeout": "3d"})
    assert isinstance(waiting, Waiting)
    assert (waiting.until, waiting.waits_for) == (NOW + timedelta(days=3), "event:order.paid")
    assert isinstance(waiting.then, Failed)
    assert (waiting.then.code, waiting.then.retryable) == ("timeout", False)


def test_what_it_matches_is_kept_as_it_is_written(tmp_path: Path) -> None:
    waiting = Attempt(home=tmp_path).run(WaitEvent(), {"event": "a", "match": "{{ payload.n > 1 }}"})
    assert isinstance(waiting, Waiting)
    assert waiting.asks == {"match": "{{ payload.n > 1 }}"}


def test_it_rejects_a_match_that_does_not_parse(tmp_path: Path) -> None:
    outcome = Attempt(home=tmp_path).run(WaitEvent(), {"event": "a", "match": "payload.n >"})
    assert isinstance(outcome, Failed)
    assert (outcome.code, outcome.retryable) == ("expression_syntax", False)


def test_without_a_timeout_it_waits_for_ever(tmp_path: Path) -> None:
    waiting = Attempt(home=tmp_path).run(WaitEvent(), {"event": "order.paid"})
    assert isinstance(waiting, Waiting)
    assert waiting.until is None


@pytest.mark.parametrize("name", ["", "order.*", "a b", "a\n", "x" * 101, ".a"])
def test_it_rejects_what_is_no_name(name: str) -> None:
    assert [fault.pointer for fault in default_registry().faults("wait_event", {"event": name})] == ["/event"]
