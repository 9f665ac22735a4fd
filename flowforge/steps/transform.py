"""`transform`: values from values."""

from collections.abc import Mapping
from typing import Any, ClassVar

from flowforge.steps.base import BaseStep, Completed, Context, Kind, Outcome


class Transform(BaseStep):
    """`values: {name: expression}` gives those values."""

    name: ClassVar[str] = "transform"
    title: ClassVar[str] = "Transform"
    description: ClassVar[str] = "Computes named values from inputs and earlier outputs."
    kind: ClassVar[Kind] = "pure"
    config_schema: ClassVar[Mapping[str, Any]] = {
        "type": "object",
        "required": ["values"],
        "additionalProperties": False,
        "properties": {
            "values": {
                "type": "object",
                "title": "Values",
                "description": "By name. Each may hold expressions, at any depth.",
            }
        },
    }
    output_schema: ClassVar[Mapping[str, Any]] = {"type": "object"}

    def run(self, context: Context) -> Outcome:
        return Completed(output=context.config["values"])
