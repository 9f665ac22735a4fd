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
    configure("commit.before:1:raise")
    with pytest.raises(FailpointError):
        failpoint("commit.before")
    assert strikes("commit.after", 10) == 0


def test_it_does_nothing_unless_asked() -> None:
    assert {name: strikes(name, 3) for name in failpoints.NAMES} == dict.fromkeys(failpoints.NAMES, 0)


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("commit.befor:1:raise", "there is no 'commit.befor'"),
        ("commit.before:1:explode", "no action 'explode'"),
        ("commit.before:often:raise", "'often'"),
        ("commit.before:1.5:raise", "between 0 and 1"),
        ("commit.before:1:sleep=long", "'long'"),
        ("commit.before:1:raise:few", "'few'"),
        ("commit.before", "could not convert"),
    ],
)
def test_it_rejects_what_it_does_not_understand(text: str, part: str) -> None:
    configure("step.before_effect:1:raise")
    with pytest.raises(ValueError, match=part):
        configure(f"step.after_effect:1:raise, {text}")
    assert strikes("step.before_effect", 1) == 1, "a refused text changes nothing"


def test_it_stops_at_its_limit() -> None:
    configure("step.before_effect:1:raise:2")
    assert strikes("step.before_effect", 5) == 2


def test_it_strikes_as_often_as_its_probability_says(monkeypatch: pytest.MonkeyPatch) -> None:
    chances = iter([0.0, 0.24, 0.25, 0.9])
    monkeypatch.setattr(failpoints.random, "random", lambda: next(chances))
    configure("step.before_effect:0.25:raise")
    assert strikes("step.before_effect", 4) == 2


def test_it_says_so_before_it_acts(caplog: pytest.LogCaptureFixture) -> None:
    configure("step.before_effect:1:raise")
    assert strikes("step.before_effect", 1) == 1
    assert caplog.messages == ["failpoint step.before_effect:raise strikes"]


def test_it_sleeps(monkeypatch: pytest.MonkeyPatch) -> None:
    slept: list[float] = []
    monkeypatch.setattr(failpoints.time, "sleep", slept.append)
    configure("step.before_effect:1:sleep=1.5")
    failpoint("step.before_effect")
    assert slept == [1.5]


@pytest.mark.processes
def test_it_kills_the_process() -> None:
    program = (
        "from flowforge.core import failpoints as f; f.configure('step.after_effect:1:kill9');"
        "f.failpoint('step.before_effect'); print('alive', flush=True); f.failpoint('step.after_effect'); print('no')"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=30, check=False)
    assert (done.returncode, done.stdout) == (-signal.SIGKILL, "alive\n")
