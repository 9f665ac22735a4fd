"""Step types of the tests: effects that are seen, fail as told, or wait to be let go. Own types as users write them."""

import threading
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Literal

from flowforge.steps.base import BaseStep, Completed, Context, Failed, Outcome, StepCancelled

ANY: Mapping[str, Any] = {"type": "object"}


class Effect(BaseStep):
    """Records that it ran (`Effect.seen`), fails the first `fail_times` attempts, gives back `value`."""

    name: ClassVar[str] = "effect"
    title: ClassVar[str] = "Effect"
    description: ClassVar[str] = "Counts how often it was done."
    kind: ClassVar[Literal["effect"]] = "effect"
    config_schema: ClassVar[Mapping[str, Any]] = {
        "type": "object",
        "additionalProperties": False,
        "properties": {
            "value": {},
            "fail_times": {"type": "integer"},
            "code": {"type": "string"},
            "retryable": {"type": "boolean"},
            "log": {"type": "array", "items": {"type": "string"}},
            "raises": {"type": "string"},
        },
    }
    output_schema: ClassVar[Mapping[str, Any]] = {}
    seen: ClassVar[Counter[tuple[str, str]]] = Counter()  # (run, node) -> attempts that were made
    order: ClassVar[list[str]] = []  # nodes as they were done
    keys: ClassVar[set[str]] = set()  # idempotency keys
    before: ClassVar[Callable[[Context], None] | None] = None  # what a test wants to happen in the middle of it

    def run(self, context: Context) -> Outcome:
        place = (context.run_id, context.node_id)
        type(self).seen[place] += 1
        type(self).order.append(context.node_id)
        type(self).keys.add(context.idempotency_key)
        hook = type(self).before
        if hook is not None:
            hook(context)
        for line in context.config.get("log", ()):
            context.log("info", line)
        if "raises" in context.config:
            raise RuntimeError(context.config["raises"])
        if context.attempt <= context.config.get("fail_times", 0):
            code = context.config.get("code", "told_to")
            return Failed(code=code, message="as told", retryable=context.config.get("retryable", True))
        return Completed(output=context.config.get("value"))

    @classmethod
    def reset(cls) -> None:
        cls.seen.clear()
        cls.order.clear()
        cls.keys.clear()
        cls.before = None


class Gate(BaseStep):
    """Runs until the test opens it, or until it is stopped."""

    name: ClassVar[str] = "gate"
    title: ClassVar[str] = "Gate"
    description: ClassVar[str] = "Waits for the test."
    kind: ClassVar[Literal["effect"]] = "effect"
    config_schema: ClassVar[Mapping[str, Any]] = ANY
    output_schema: ClassVar[Mapping[str, Any]] = {}
    entered: ClassVar[threading.Event] = threading.Event()
    opened: ClassVar[threading.Event] = threading.Event()

    def run(self, context: Context) -> Outcome:
        type(self).entered.set()
        stopped = threading.Event()
        context.cancel.on_cancel(stopped.set)
        while not type(self).opened.wait(0.005):
            if stopped.is_set():
                raise StepCancelled
        return Completed(output="opened")

    @classmethod
    def reset(cls) -> None:
        cls.entered.clear()
        cls.opened.clear()


PATHS = ("tests.support.step_types.Effect", "tests.support.step_types.Gate")
