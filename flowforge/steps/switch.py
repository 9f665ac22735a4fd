"""`switch`: as many ways on as there are labels."""

from collections.abc import Mapping
from typing import Any, ClassVar

from flowforge.core.errors import Fault
from flowforge.core.json import Json
from flowforge.steps.base import BaseStep, Completed, Context, Kind, Outcome
from flowforge.steps.values import faults_of_plain_text, holds_expression, text


class Switch(BaseStep):
    """The branch label is that of the first case with the expression's value, else the default, else the value."""

    name: ClassVar[str] = "switch"
    title: ClassVar[str] = "Switch"
    description: ClassVar[str] = "Takes the edges whose label belongs to the value of an expression."
    kind: ClassVar[Kind] = "pure"
    config_schema: ClassVar[Mapping[str, Any]] = {
        "type": "object",
        "required": ["expression"],
        "additionalProperties": False,
        "properties": {
            "expression": {"title": "Expression", "examples": ["{{ inputs.country }}"]},
            "cases": {
                "type": "object",
                "title": "Cases",
                "description": "Values by branch label; the first equal one counts. 3 and the text 3 are not equal.",
            },
            "default": {
                "type": "string",
                "title": "Default",
                "description": "The label where no case is equal; without it the value itself, as text.",
            },
        },
    }
    output_schema: ClassVar[Mapping[str, Any]] = {
        "type": "object",
        "required": ["value", "branch"],
        "properties": {"value": {}, "branch": {"type": "string"}},
    }

    def check(self, config: Mapping[str, Any]) -> list[Fault]:
        return faults_of_plain_text(config["expression"])

    def branches(self, config: Mapping[str, Any]) -> frozenset[str] | None:
        cases, default = config.get("cases", {}), config.get("default")
        if default is None or holds_expression(default) or holds_expression(cases):
            return frozenset()  # any text
        return frozenset({*cases, default})

    def run(self, context: Context) -> Outcome:
        value = context.config["expression"]
        branch = _label(value, context.config.get("cases", {}), context.config.get("default"))
        return Completed(output={"value": value, "branch": branch}, branch=branch)


def _label(value: Json, cases: Mapping[str, Json], default: str | None) -> str:
    for label, case in cases.items():
        # in Python True == 1; in JSON they are two values
        if case == value and isinstance(case, bool) == isinstance(value, bool):
            return label
    return text(value) if default is None else default
