"""The trivial effect step of the benchmarks: fib(10), as the peers' scripts have it."""

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

from flowforge.steps.base import BaseStep, Completed, Context, Outcome


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


def fib(n: int) -> int:
    return n if n < 2 else fib(n - 1) + fib(n - 2)
