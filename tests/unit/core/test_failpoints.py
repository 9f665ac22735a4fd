"""Failpoints: off by default, exact when on."""

import signal
import subprocess
import sys
from collections.abc import Iterator

import pytest

from flowforge.core import failpoints
from flowforge.core.failpoints import FailpointError, configure, failpoint


@pytest.fixture(autouse=True)
def _off_afterwards() -> Iterator[None]:
    yield
    configure("")


def strikes(name: str, times: int) -> int:
    found = 0
    for _ in range(times):
        try:
            failpoint(name)
        except FailpointError:
            found += 1
    return found


def test_it_works() -> None:
    configure("drive.before_commit:1:raise")
    with pytest.raises(FailpointError):
        failpoint("drive.before_commit")
    assert strikes("drive.after_commit", 10) == 0


def test_it_does_nothing_unless_asked() -> None:
    assert {name: strikes(name, 3) for name in failpoints.NAMES} == dict.fromkeys(failpoints.NAMES, 0)


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("drive.befor_commit:1:raise", "there is no 'drive.befor_commit'"),
        ("drive.before_commit:1:explode", "no action 'explode'"),
        ("drive.before_commit:often:raise", "'often'"),
        ("drive.before_commit:1.5:raise", "between 0 and 1"),
        ("drive.before_commit:1:sleep=long", "'long'"),
        ("drive.before_commit:1:raise:few", "'few'"),
        ("drive.before_commit", "could not convert"),
    ],
)
def test_it_rejects_what_it_does_not_understand(text: str, part: str) -> None:
    configure("work.before_run:1:raise")
    with pytest.raises(ValueError, match=part):
        configure(f"work.after_run:1:raise, {text}")
    assert strikes("work.before_run", 1) == 1, "a refused text changes nothing"


def test_it_stops_at_its_limit() -> None:
    configure("work.before_run:1:raise:2")
    assert strikes("work.before_run", 5) == 2


def test_it_strikes_as_often_as_its_probability_says(monkeypatch: pytest.MonkeyPatch) -> None:
    chances = iter([0.0, 0.24, 0.25, 0.9])
    monkeypatch.setattr(failpoints.random, "random", lambda: next(chances))
    configure("work.before_run:0.25:raise")
    assert strikes("work.before_run", 4) == 2


def test_it_sleeps(monkeypatch: pytest.MonkeyPatch) -> None:
    slept: list[float] = []
    monkeypatch.setattr(failpoints.time, "sleep", slept.append)
    configure("work.before_run:1:sleep=1.5")
    failpoint("work.before_run")
    assert slept == [1.5]


@pytest.mark.processes
def test_it_kills_the_process() -> None:
    program = (
        "from flowforge.core import failpoints as f; f.configure('work.after_run:1:kill9');"
        "f.failpoint('work.before_run'); print('alive', flush=True); f.failpoint('work.after_run'); print('no')"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=30, check=False)
    assert (done.returncode, done.stdout) == (-signal.SIGKILL, "alive\n")
