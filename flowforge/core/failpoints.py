"""Faults on purpose: named places where a test kills the process, raises or delays. Off, one costs a look into a dict.

`FLOWFORGE_FAILPOINTS="commit.after:0.05:kill9,result.before_commit:1:raise:2,step.before_effect:1:sleep=0.5"`:
name, probability, action and, optionally, how often at most. An unknown name or action is refused at start: a fault
run that misspells its faults would prove nothing.
"""

import logging
import os
import random
import signal
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

NAMES: Final[dict[str, str]] = {
    "accept.before_commit": "a run's rows are written, not yet committed",
    "accept.after_commit": "a run is on disk, nobody is hinted, the caller has no answer",
    "bell.before_ring": "what a hint tells of is on disk, the hint is not out",
    "bell.after_ring": "the hint is with the broker, the ringer goes on",
    "drive.after_claim": "a driver has the run's lease, nothing is decided",
    "claim.after": "a worker has claimed steps, none has begun",
    "step.before_effect": "a step is claimed, its effect has not happened",
    "step.after_effect": "the effect has happened, its result is only in memory",
    "result.before_commit": "a result is about to be committed",
    "result.after_commit": "a result is on disk, the driver is not hinted",
    "commit.before": "a decision round is made, not yet committed",
    "commit.after": "the round is on disk, its hints are not out",
    "schedule.before_commit": "a tick's runs and decisions are written, not yet committed",
    "map.before_gather": "a map's last item has ended, its results are not put together",
    "child.after_start": "a child run is on disk, its step does not wait for it yet",
    "event.after_store": "an event is on disk, nobody who waits for it is woken",
    "run.before_terminal": "a run's end is decided, not yet committed",
    "run.after_terminal": "a run has ended, those who wait for it are not told",
    "sweep.after_take": "due runs are put off by the sweep, their hints are not out",
    "lease.before_renew": "the keeper is about to renew the leases of what runs here",
    "asset.reserved": "an upload is noted and counts on its project's quota, the store has nothing of it",
    "asset.stored": "the store has an upload, no version has taken it",
    "data.after_fetch": "a step on data has its source in its scratch folder, nothing is computed",
    "data.before_place": "the result of a step on data is whole in its scratch folder, its target is untouched",
    "data.before_commit": "a step on data has sent its rows to a database, they are not committed",
    "data.before_rename": "a step on data has its result beside its target, the target is untouched",
    "data.after_place": "a step on data has replaced its target, nobody knows of it yet",
    "drain.begun": "the process claims nothing more, what runs is not handed back yet",
}

log = logging.getLogger("flowforge.failpoints")


class FailpointError(RuntimeError):
    """What the action `raise` raises; nothing but a test asks for it."""


@dataclass
class _Fault:
    text: str
    probability: float
    act: Callable[[], None]
    left: float  # how many times more; infinity: no limit
    lock: threading.Lock = field(default_factory=threading.Lock)

    def strike(self) -> None:
        """Act, if chance and limit say so; outside the lock, so that a thread that sleeps here holds up no other."""
        with self.lock:
            if self.left <= 0 or random.random() >= self.probability:  # noqa: S311  chance, not a secret
                return
            self.left -= 1
        log.warning("failpoint %s strikes", self.text)  # before it acts: some never come back
        self.act()


_active: dict[str, _Fault] = {}


def failpoint(name: str) -> None:
    """A place where a fault may strike; `name` is one of NAMES."""
    fault = _active.get(name)
    if fault is not None:
        fault.strike()


def configure(text: str) -> None:
    """Make the faults of `text` (see above) the active ones; "" ends them all. Raises ValueError, naming the part."""
    parsed = dict(_parse(part.strip()) for part in text.split(",") if part.strip())
    _active.clear()
    _active.update(parsed)


def _parse(part: str) -> tuple[str, _Fault]:
    name, _, rest = part.partition(":")
    probability, _, rest = rest.partition(":")
    action, _, limit = rest.partition(":")
    if name not in NAMES:
        raise ValueError(f"failpoint {part!r}: there is no {name!r}")
    try:
        chance, act, left = float(probability), _action(action), float(limit or "inf")
    except ValueError as error:
        raise ValueError(f"failpoint {part!r}: {error}") from None
    if not 0 <= chance <= 1:
        raise ValueError(f"failpoint {part!r}: a probability lies between 0 and 1")
    return name, _Fault(text=f"{name}:{action}", probability=chance, act=act, left=left)


def _action(text: str) -> Callable[[], None]:
    kind, _, argument = text.partition("=")
    if text == "kill9":
        return _kill
    if text == "raise":
        return _raise
    if kind == "sleep":
        seconds = float(argument)
        return lambda: time.sleep(seconds)
    raise ValueError(f"no action {text!r}: kill9, raise or sleep=SECONDS")


def _kill() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _raise() -> None:
    raise FailpointError("failpoint")
