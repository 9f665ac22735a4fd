"""Effects for real processes to do: own step types, named by FLOWFORGE_STEP_TYPES."""

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

from flowforge.steps.base import BaseStep, Completed, Context, Failed, Outcome, StepCancelled


class Work(BaseStep):
    """Takes `seconds`, fails the first `fail_times` attempts, gives back the number of its attempt."""

    name: ClassVar[str] = "work"
    title: ClassVar[str] = "Work"
    description: ClassVar[str] = "Takes some time."
    kind: ClassVar[Literal["effect"]] = "effect"
    config_schema: ClassVar[Mapping[str, Any]] = {
        "type": "object",
        "additionalProperties": False,
        "properties": {"seconds": {"type": "number"}, "fail_times": {"type": "integer"}},
    }
    output_schema: ClassVar[Mapping[str, Any]] = {"type": "integer"}

    def run(self, context: Context) -> Outcome:
        if context.cancel.wait(context.config.get("seconds", 0)):
            raise StepCancelled
        if context.attempt <= context.config.get("fail_times", 0):
            return Failed(code="told_to", message="as told")
        return Completed(output=context.attempt)


PATH = "tests.processes.step_types.Work"
