"""What the harness's workflows do: own step types, named by FLOWFORGE_STEP_TYPES."""

import os
import signal
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Literal

from flowforge.steps.base import BaseStep, Completed, Context, Failed, Outcome, StepCancelled
from tests.faults import ledger

PORT_VARIABLE = "FAULTS_LEDGER_PORT"


def _write_down(context: Context) -> None:
    entry = {
        "key": context.idempotency_key,
        "run": context.run_id,
        "node": context.node_id,
        "index": -1 if context.index is None else context.index,
        "attempt": context.attempt,
        "pid": os.getpid(),
    }
    ledger.record(int(os.environ[PORT_VARIABLE]), entry)


class Noted(BaseStep):
    """An effect that the ledger sees. Takes `seconds`, fails the first `fail_times` attempts, gives `value`."""

    name: ClassVar[str] = "noted"
    title: ClassVar[str] = "Noted"
    description: ClassVar[str] = "Has an effect that is written down elsewhere."
    kind: ClassVar[Literal["effect"]] = "effect"
    config_schema: ClassVar[Mapping[str, Any]] = {
        "type": "object",
        "additionalProperties": False,
        "properties": {
            "value": {},
            "seconds": {"type": "number"},
            "fail_times": {"type": "integer"},
        },
    }
    output_schema: ClassVar[Mapping[str, Any]] = {}

    def run(self, context: Context) -> Outcome:
        seconds = context.config.get("seconds", 0)
        if seconds and context.cancel.wait(seconds / 2):
            raise StepCancelled
        _write_down(context)
        if seconds and context.cancel.wait(seconds / 2):  # a crash may fall between the effect and its result
            raise StepCancelled
        if context.attempt <= context.config.get("fail_times", 0):
            return Failed(code="told_to", message="as told")
        return Completed(output=context.config.get("value"))


class Unconvertible(Exception):
    """Neither its text nor its pickle can be had."""

    def __str__(self) -> str:
        raise RuntimeError("no text")

    def __reduce__(self) -> str:
        raise TypeError("no pickle")


def _recurse() -> None:
    _recurse()


def _raise(error: Callable[[], BaseException]) -> None:
    raise error()


def _spin(until: float) -> None:
    while time.monotonic() < until:
        pass


HARMS: dict[str, Callable[[], object]] = {
    "kill": lambda: os.kill(os.getpid(), signal.SIGKILL),
    "exit": lambda: os._exit(0),
    "system_exit": lambda: _raise(SystemExit),
    "interrupt": lambda: _raise(KeyboardInterrupt),
    "recursion": _recurse,
    "no_text": lambda: _raise(Unconvertible),
    "long_text": lambda: _raise(lambda: RuntimeError("x" * 10_000_000)),
    "bad_text": lambda: _raise(lambda: RuntimeError("\ud800 \x00")),
}


class Pill(BaseStep):
    """Does harm to the process that runs it."""

    name: ClassVar[str] = "pill"
    title: ClassVar[str] = "Pill"
    description: ClassVar[str] = "Does harm."
    kind: ClassVar[Literal["effect"]] = "effect"
    config_schema: ClassVar[Mapping[str, Any]] = {
        "type": "object",
        "additionalProperties": False,
        "properties": {"harm": {"enum": sorted(HARMS)}},
    }
    output_schema: ClassVar[Mapping[str, Any]] = {}

    def run(self, context: Context) -> Outcome:
        HARMS[context.config["harm"]]()
        return Completed(output=None)


class Stubborn(BaseStep):
    """Does not hear that it has to stop: `spin` holds the interpreter's lock as far as it can, `sleep` is deaf in C."""

    name: ClassVar[str] = "stubborn"
    title: ClassVar[str] = "Stubborn"
    description: ClassVar[str] = "Hangs."
    kind: ClassVar[Literal["effect"]] = "effect"
    config_schema: ClassVar[Mapping[str, Any]] = {
        "type": "object",
        "additionalProperties": False,
        "properties": {"how": {"enum": ["spin", "sleep", "join"]}, "seconds": {"type": "number"}},
    }
    output_schema: ClassVar[Mapping[str, Any]] = {}

    def run(self, context: Context) -> Outcome:
        seconds = context.config["seconds"]
        if context.config["how"] == "spin":
            _spin(time.monotonic() + seconds)
        elif context.config["how"] == "sleep":
            time.sleep(seconds)
        else:
            other = threading.Thread(target=time.sleep, args=(seconds,), daemon=True)
            other.start()
            other.join()
        return Completed(output="late")


PATHS = ",".join(f"tests.faults.step_types.{each.__name__}" for each in (Noted, Pill, Stubborn))
NAMES = (Noted.name, Pill.name, Stubborn.name)
