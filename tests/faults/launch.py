"""`manage.py` with handles for a harness: `python -m tests.faults.launch work` is `manage.py work`, and

    SIGUSR1                 prints the stack of every thread
    SIGUSR2                 does what the file FAULTS_CONTROL says: two lines, failpoints and what befalls hints
    FAULTS_CLOCK_SECONDS    is how far this process's clock is off

Hints: `drop=0.3` loses some; `copies=3` sends each so often, late, in any order, and old ones again. Each that was
lost or doubled leaves a byte in the file FAULTS_BELLS_LOG.
"""

import faulthandler
import os
import random
import signal
import sys
import threading
import time
from collections import deque
from collections.abc import Callable
from datetime import datetime, timedelta, tzinfo
from pathlib import Path
from types import FrameType

from django.core.management import execute_from_command_line

from flowforge.core import bell, clock, failpoints
from flowforge.engine.store import maintenance

Send = Callable[[str, list[str], str], None]
KEPT = 1000  # old hints, of which some are sent again
HOLD_SECONDS = 0.1  # hints are shuffled with those of so long


def main() -> None:
    faulthandler.register(signal.SIGUSR1, all_threads=True)
    bells = Bells(bell._send, Path(os.environ["FAULTS_BELLS_LOG"]))
    bell._send = bells.send
    control = Path(os.environ["FAULTS_CONTROL"])

    def obey(_number: int = 0, _frame: FrameType | None = None) -> None:
        armed, _, hints = control.read_text().partition("\n")
        failpoints.configure(armed)
        bells.disturb(hints.strip())

    signal.signal(signal.SIGUSR2, obey)
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "flowforge.settings")
    if "FAULTS_CLOCK_SECONDS" in os.environ:
        _skew(float(os.environ["FAULTS_CLOCK_SECONDS"]))
    if control.exists():
        bells.disturb(control.read_text().partition("\n")[2].strip())
    execute_from_command_line(["manage.py", *sys.argv[1:]])


def _skew(seconds: float) -> None:
    """Both places that read this machine's clock: the clock itself, and who compares it with the database's."""

    class Skewed(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> datetime:  # type: ignore[override]  # a plain one, as all others
            return datetime.now(tz) + timedelta(seconds=seconds)

    clock.datetime = Skewed  # type: ignore[attr-defined,misc]  # that is the point
    maintenance.datetime = Skewed  # type: ignore[attr-defined,misc]


class Bells:
    """Stands between whoever rings and the broker."""

    def __init__(self, send: Send, log: Path) -> None:
        self._send = send
        self._told = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        self._drop, self._copies = 0.0, 0
        self._held: list[tuple[str, list[str], str]] = []
        self._old: deque[tuple[str, list[str], str]] = deque(maxlen=KEPT)
        self._lock = threading.Lock()
        self._shuffler: threading.Thread | None = None

    def disturb(self, text: str) -> None:
        """`drop=…`, `copies=…` or nothing."""
        kind, _, value = text.partition("=")
        if kind not in ("", "drop", "copies"):
            raise ValueError(f"what is to befall hints? {text!r}")
        self._drop = float(value) if kind == "drop" else 0.0
        self._copies = int(value) if kind == "copies" else 0
        if self._copies and self._shuffler is None:
            self._shuffler = threading.Thread(target=self._shuffle, name="shuffler", daemon=True)
            self._shuffler.start()

    def send(self, name: str, args: list[str], queue: str) -> None:
        if self._drop and random.random() < self._drop:
            os.write(self._told, b"-")
        elif self._copies:
            with self._lock:
                self._held += [(name, args, queue)] * self._copies
                self._old.append((name, args, queue))
                if random.random() < 0.1:
                    self._held.append(random.choice(self._old))
        else:
            self._send(name, args, queue)

    def _shuffle(self) -> None:
        while True:
            time.sleep(HOLD_SECONDS)
            with self._lock:
                held, self._held = self._held, []
            random.shuffle(held)
            for hint in held:
                self._send(*hint)
            if self._copies:
                os.write(self._told, b"+" * (len(held) - len(held) // self._copies))


if __name__ == "__main__":
    main()
