"""The bell when nobody comes: hints of runs that are overdue are answered in this process, if it can."""

from collections import OrderedDict
from types import SimpleNamespace
from typing import Any

import pytest

from flowforge.core import bell as core_bell
from flowforge.core.bell import CONTROL_QUEUE, DRIVE, WORK
from flowforge.core.ids import new_id
from tests.support.bells import BellRecorder

Heard = list[tuple[str, list[str], str]]


@pytest.fixture
def rescued(monkeypatch: pytest.MonkeyPatch) -> Heard:
    """What this process was offered and has taken."""
    heard: Heard = []

    def take(name: str, args: list[str], queue: str, _first: bool) -> bool:
        heard.append((name, args, queue))
        return True

    monkeypatch.setattr(core_bell, "_rescuers", [take])
    monkeypatch.setattr(core_bell, "_overdue", OrderedDict())
    return heard


def test_it_works(bell: BellRecorder, rescued: Heard) -> None:
    run_id = new_id()
    core_bell.drive_overdue(run_id)
    core_bell.work_now(run_id, "default", count=3)
    assert rescued == [(DRIVE, [str(run_id)], CONTROL_QUEUE), (WORK, [str(run_id), "default"], "default")]
    assert bell.driven == []
    assert bell.worked == [(run_id, "default")] * 2  # others are to have their part


def test_it_leaves_to_the_broker_what_is_not_overdue(bell: BellRecorder, rescued: Heard) -> None:
    core_bell.drive_overdue(new_id())
    run_id = new_id()
    core_bell.drive_now(run_id)
    core_bell.work_now(run_id, "default")
    assert bell.driven == [run_id]
    assert bell.worked == [(run_id, "default")]
    assert len(rescued) == 1


def test_it_rings_if_this_process_cannot(bell: BellRecorder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(core_bell, "_rescuers", [lambda *_: False])
    run_id = new_id()
    core_bell.drive_overdue(run_id)
    core_bell.work_now(run_id, "default")
    assert (bell.driven, bell.worked) == ([run_id], [(run_id, "default")])


def test_what_is_under_way_goes_first_and_last_chances_are_told_apart(
    bell: BellRecorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    urgency: list[bool] = []
    monkeypatch.setattr(core_bell, "_rescuers", [lambda _name, _args, _queue, first: urgency.append(first) is None])
    monkeypatch.setattr(core_bell, "_overdue", OrderedDict())
    core_bell.drive_overdue(new_id())
    core_bell.drive_overdue(new_id(), first=True)
    assert urgency == [False, True]
    core_bell.work_now(new_id(), "default", last_chance=True)
    core_bell.work_now(new_id(), "default")
    assert [ring.last_chance for ring in bell.rings] == [True, False]


def test_it_remembers_no_more_than_it_can_hold(rescued: Heard, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(core_bell, "_OVERDUE_KEPT", 3)
    for _ in range(10):
        core_bell.drive_overdue(new_id())
    assert len(core_bell._overdue) == 3


def test_one_hint_speaks_of_many_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[list[str]] = []
    monkeypatch.setattr(core_bell, "_send", lambda name, args, queue: sent.append(args))
    runs = [new_id() for _ in range(core_bell.RUNS_IN_A_HINT + 1)]
    core_bell.drive_now(*runs)
    core_bell.drive_now()
    assert sent == [[str(run_id) for run_id in runs[:-1]], [str(runs[-1])]]


def test_a_broker_that_is_away_is_waited_for_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever rings holds leases, which end if each of their hints has to wait."""
    tried: list[str] = []

    def send_task(name: str, **_: object) -> None:
        tried.append(name)
        raise ConnectionError("away")

    monkeypatch.setattr(core_bell, "current_app", SimpleNamespace(send_task=send_task))
    monkeypatch.setattr(core_bell, "_away_until", 0.0)
    core_bell.drive_now(new_id())
    core_bell.drive_now(new_id())
    core_bell.work_now(new_id(), "default", count=3)
    assert tried == [DRIVE]
    monkeypatch.setattr(core_bell, "_away_until", 0.0)  # its time is up
    core_bell.drive_now(new_id())
    assert tried == [DRIVE, DRIVE]


@pytest.mark.parametrize(
    ("embedded", "broker", "works", "elsewhere"),
    [
        (True, "inproc://", True, False),
        (False, "redis://127.0.0.1/0", False, False),
        (False, "redis://127.0.0.1/0", True, True),
        (False, "amqp://127.0.0.1", False, True),
    ],
)
def test_who_holds_leases_waits_for_no_broker(
    monkeypatch: pytest.MonkeyPatch, settings: Any, embedded: bool, broker: str, works: bool, elsewhere: bool
) -> None:
    """A worker's hints are carried by a thread of their own; a request carries its one itself, where that ends."""
    settings.EMBEDDED, settings.BROKER_URL = embedded, broker
    monkeypatch.setattr(core_bell, "_rescuers", [lambda *_: False] if works else [])
    carried: list[str] = []
    monkeypatch.setattr(core_bell, "_ringer", SimpleNamespace(put=lambda *_: carried.append("elsewhere")))
    monkeypatch.setattr(core_bell, "_send_to_broker", lambda *_: carried.append("here"))
    core_bell.drive_now(new_id())
    assert carried == ["elsewhere" if elsewhere else "here"]
