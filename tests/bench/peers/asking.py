"""The other end of `apps/asked.py`: a driver whose calls, and whose clock, are in the peer's own environment."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.bench.peers.environment import CHECKOUT
from tests.bench.processes import Processes
from tests.bench.systems import Driver

APPS = CHECKOUT / "tests" / "bench" / "peers" / "apps"


class Asked:
    """One such process; the waits are bounded by the caller's `within`."""

    def __init__(
        self, alive: Processes, python: Path, script: str, environment: Mapping[str, str], folder: Path
    ) -> None:
        self._alive = alive
        self._process = alive.start([python, APPS / script], environment, folder, pipes=True)

    def ask(self, name: str, *arguments: Any) -> Any:
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.write(json.dumps([name, *arguments]).encode() + b"\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"the driving process has ended: {self._alive.last_words()}")
        answer = json.loads(line)
        if "error" in answer:
            raise RuntimeError(answer["error"])
        return answer["value"]


class AskingDriver(Driver):
    """Its calls take place, and are timed, inside."""

    def __init__(self, asked: Asked, alive: Processes, start_seconds: float) -> None:
        super().__init__(alive, start_seconds)
        self.asked = asked

    def chain(self, steps: int) -> float:
        return float(self.asked.ask("chain", steps))

    def fan(self, width: int) -> float:
        return float(self.asked.ask("fan", width))

    def many(self, runs: int, steps: int) -> float:
        return float(self.asked.ask("many", runs, steps))
