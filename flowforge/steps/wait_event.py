"""`wait_event`: until something happens elsewhere."""

from collections.abc import Mapping
from typing import Any, ClassVar, Final

from flowforge.core.errors import Fault
from flowforge.kernel.expressions import ExpressionError, compile_expression
from flowforge.steps.base import BaseStep, Context, Failed, Kind, Outcome, Waiting
from flowforge.steps.bounds import bounded, deadline
from flowforge.steps.values import EVENT_NAME, faults_of_duration

PREFIX: Final = "event:"  # of `waits_for`, before the event's name


class WaitEvent(BaseStep):
    """Gives the payload of the first event of that name for which `match` holds."""

    name: ClassVar[str] = "wait_event"
    title: ClassVar[str] = "Wait for an event"
    description: ClassVar[str] = "Waits until an event is published that matches."
    kind: ClassVar[Kind] = "pure"  # it only says what it waits for
    unrendered: ClassVar[frozenset[str]] = frozenset({"match"})  # it is asked of each event
    config_schema: ClassVar[Mapping[str, Any]] = {
        "type": "object",
        "required": ["event"],
        "additionalProperties": False,
        "properties": {
            "event": {"type": "string", "pattern": f"^{EVENT_NAME}$", "title": "Event", "examples": ["order.paid"]},
            "match": {
                "type": "string",
                "title": "Match",
                "description": "A condition over payload, event, inputs and steps; without one, every event matches.",
                "examples": ["{{ payload.order == inputs.order }}"],
            },
            "timeout": {"type": ["string", "number"], "title": "Timeout", "examples": ["3d"]},
        },
    }
    output_schema: ClassVar[Mapping[str, Any]] = {"type": "object", "description": "The event's payload."}

    def check(self, config: Mapping[str, Any]) -> list[Fault]:
        return faults_of_duration(config, "timeout")

    def run(self, context: Context) -> Outcome:
        event, match = context.config["event"], context.config.get("match")
        try:
            until = deadline(context)
            if match is not None:
                compile_expression(match)
        except ValueError as error:
            return Failed(code="invalid_config", message=str(error), retryable=False)
        except ExpressionError as error:
            return Failed(code=error.code, message=error.message, retryable=False)
        asks = {} if match is None else {"match": match}
        late = Failed(code="timeout", message=f"No event {event} that matches came in time.", retryable=False)
        return bounded(Waiting(until=until, then=late, waits_for=PREFIX + event, asks=asks), context)
