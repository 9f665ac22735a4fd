"""runs.waiting: told at once within the process, found by looking otherwise."""

import threading
from types import SimpleNamespace

import pytest

from flowforge.core.ids import new_id
from runs import waiting
from runs.waiting import notify_ended, wait_until_ended


@pytest.fixture
def looks(monkeypatch):
    """What each look at the run's status finds, in turn; the last one for ever. Counts the looks."""
    answers: list[bool] = [False]
    seen: list[bool] = []

    def look(run_id):
        seen.append(answers.pop(0) if len(answers) > 1 else answers[0])
        return seen[-1]

    monkeypatch.setattr(waiting, "_has_ended", look)
    return answers, seen


def test_it_works(monkeypatch):
    monkeypatch.setattr(waiting, "SHORTEST_PAUSE_SECONDS", 60)
    monkeypatch.setattr(waiting, "LONGEST_PAUSE_SECONDS", 60)
    run_id, found, looked = new_id(), [], threading.Event()
    monkeypatch.setattr(waiting, "_has_ended", lambda run_id: looked.set())
    thread = threading.Thread(target=lambda: found.append(wait_until_ended(run_id, 60)))
    thread.start()
    assert looked.wait(10)

    notify_ended(new_id())
    notify_ended(run_id)
    thread.join(10)

    assert found == [True]
    assert not waiting._waiters


def test_it_rejects_to_wait_longer_than_asked(looks):
    assert wait_until_ended(new_id(), 0.02) is False
    assert not waiting._waiters


def test_the_end_is_found_without_a_notice(looks):
    answers, seen = looks
    answers[:] = [False, False, True]

    assert wait_until_ended(new_id(), 60) is True
    assert len(seen) == 3


def test_an_end_before_the_first_look_is_found_at_once(looks):
    looks[0][:] = [True]

    assert wait_until_ended(new_id(), 60) is True
    assert len(looks[1]) == 1


def test_looks_grow_rarer(looks, monkeypatch):
    monkeypatch.setattr(waiting, "SHORTEST_PAUSE_SECONDS", 0.002)
    pauses, now = [], [1000.0]

    class Clockwork(threading.Event):
        def wait(self, timeout=None):
            pauses.append(timeout)
            now[0] += timeout
            return now[0] > 1005

    monkeypatch.setattr(waiting.threading, "Event", Clockwork)
    monkeypatch.setattr(waiting, "time", SimpleNamespace(monotonic=lambda: now[0]))

    assert wait_until_ended(new_id(), 60) is True
    assert pauses == sorted(pauses)
    assert (pauses[0], pauses[-1]) == (0.002, 0.25)
    assert sum(pause < 0.0021 for pause in pauses) >= 10, "an end within 20 ms is seen within 2 ms"


def test_waiting_leaves_threads_to_others(looks, monkeypatch):
    monkeypatch.setattr(waiting, "_places", threading.BoundedSemaphore(1))
    with waiting._places:
        assert wait_until_ended(new_id(), 60) is False

    assert len(looks[1]) == 1
    looks[0][:] = [True]
    assert wait_until_ended(new_id(), 60) is True


@pytest.mark.django_db
def test_the_status_decides(workflow, end):
    from tests import factories

    run = factories.make_run(workflow=workflow)
    assert wait_until_ended(run.id, 0) is False
    end(run, "failed")
    assert wait_until_ended(run.id, 0) is True
