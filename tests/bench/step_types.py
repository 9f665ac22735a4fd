"""The effect steps of the benchmarks: next to no work, and work that is waiting."""

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

from flowforge.steps.base import BaseStep, Completed, Context, Outcome, StepCancelled

PATHS = "tests.bench.step_types.Fib,tests.bench.step_types.Sleep"


class Fib(BaseStep):
    """An effect for the engine (started, recorded, done at least once), a few microseconds of work in itself."""

    name: ClassVar[str] = "fib"
    title: ClassVar[str] = "Fibonacci"
    description: ClassVar[str] = "Computes a Fibonacci number the slow way."
    kind: ClassVar[Literal["effect"]] = "effect"
    config_schema: ClassVar[Mapping[str, Any]] = {"type": "object", "properties": {"n": {"type": "integer"}}}
    output_schema: ClassVar[Mapping[str, Any]] = {"type": "integer"}

    def run(self, context: Context) -> Outcome:
        return Completed(output=fib(context.config.get("n", 10)))


class Sleep(BaseStep):
    """Holds its thread for so many seconds, as a call to another service does."""

    name: ClassVar[str] = "sleep"
    title: ClassVar[str] = "Sleep"
    description: ClassVar[str] = "Takes a while."
    kind: ClassVar[Literal["effect"]] = "effect"
    config_schema: ClassVar[Mapping[str, Any]] = {"type": "object", "properties": {"seconds": {"type": "number"}}}
    output_schema: ClassVar[Mapping[str, Any]] = {}

    def run(self, context: Context) -> Outcome:
        if context.cancel.wait(context.config["seconds"]):
            raise StepCancelled
        return Completed()


def fib(n: int) -> int:
    return n if n < 2 else fib(n - 1) + fib(n - 2)
