"""`condition`: two ways on."""

from collections.abc import Mapping
from typing import Any, ClassVar

from flowforge.core.errors import Fault
from flowforge.steps.base import BaseStep, Completed, Context, Kind, Outcome
from flowforge.steps.values import faults_of_plain_text, truth


class Condition(BaseStep):
    """The branch label is `true` or `false`."""

    name: ClassVar[str] = "condition"
    title: ClassVar[str] = "Condition"
    description: ClassVar[str] = "Takes the edges labelled `true` or `false` by what an expression gives."
    kind: ClassVar[Kind] = "pure"
    config_schema: ClassVar[Mapping[str, Any]] = {
        "type": "object",
        "required": ["expression"],
        "additionalProperties": False,
        "properties": {
            "expression": {
                "title": "Expression",
                "description": 'What it gives is true unless it is empty, zero, null, false or the text "false".',
                "examples": ["{{ steps.fetch.output.json.total > 1000 }}"],
            }
        },
    }
    output_schema: ClassVar[Mapping[str, Any]] = {
        "type": "object",
        "required": ["result"],
        "properties": {"result": {"type": "boolean"}},
    }

    def check(self, config: Mapping[str, Any]) -> list[Fault]:
        return faults_of_plain_text(config["expression"])

    def branches(self, config: Mapping[str, Any]) -> frozenset[str] | None:  # noqa: ARG002  always these
        return frozenset({"true", "false"})

    def run(self, context: Context) -> Outcome:
        result = truth(context.config["expression"])
        return Completed(output={"result": result}, branch="true" if result else "false")
