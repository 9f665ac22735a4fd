"""The workflows that a step lets its model call: which they are, what they are called there, and what they answer."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from flowforge.core import json
from flowforge.core.json import Json, JsonError
from flowforge.steps.base import Context
from flowforge.steps.llm.anthropic import ANSWER
from flowforge.steps.llm.exchange import Call, ToolSpec, failure
from flowforge.steps.tools import Tool, ToolEnd

MAX_RESULT: Final = 32 * 1024  # characters of what a model is told of a run's outputs
MAX_ARGUMENTS: Final = 64 * 1024

_UNSPEAKABLE: Final = re.compile(r"[^a-zA-Z0-9_-]+")  # both providers' rule for a tool's name
_MAX_NAME: Final = 60


class BadCall(Exception):
    """A call that is not to be made; the message is for the model."""


@dataclass(frozen=True, kw_only=True)
class Toolbox:
    """The allow-list: by the name that the model knows."""

    tools: Mapping[str, Tool]

    @classmethod
    def of(cls, context: Context, written: Sequence[Mapping[str, Any]]) -> "Toolbox":
        """Raises ReplyFailed where a workflow is not there."""
        tools: dict[str, Tool] = {}
        for entry in written:
            wanted = str(entry.get("workflow_id") or entry.get("name"))
            found = context.tools.find(wanted)
            if found is None:
                raise failure("unknown_workflow", f"The project has no one workflow {wanted[:100]!r}.", retryable=False)
            description = entry.get("description") or found.description or found.name
            schema = found.input_schema or {"type": "object"}
            tools[_name(found.name, tools)] = Tool(
                workflow_id=found.workflow_id, name=found.name, description=description, input_schema=schema
            )
        return cls(tools=tools)

    def specs(self) -> list[ToolSpec]:
        return [
            ToolSpec(name=name, description=tool.description, input_schema=tool.input_schema)
            for name, tool in self.tools.items()
        ]

    def take(self, call: Call) -> tuple[Tool, dict[str, Json]]:
        """The workflow and its inputs. Raises BadCall: what a model asks for is anybody's text."""
        tool = self.tools.get(call.name)
        if tool is None:
            raise BadCall("There is no such tool.")
        if len(call.arguments) > MAX_ARGUMENTS:
            raise BadCall(f"The arguments are longer than {MAX_ARGUMENTS} characters.")
        try:
            inputs = json.loads((call.arguments or "{}").encode("utf-8", "replace"))
        except JsonError as error:
            raise BadCall(f"The arguments are not JSON: {str(error)[:200]}") from None
        if not isinstance(inputs, dict):
            raise BadCall("The arguments are not an object.")
        return tool, inputs


def told(end: ToolEnd) -> str:
    """A run's end, as the model hears of it."""
    if end.status == "completed":
        found = json.text(end.outputs)
        return found if len(found) <= MAX_RESULT else f"{found[:MAX_RESULT]} [cut: {len(found)} characters]"
    error = end.error if isinstance(end.error, Mapping) else {}
    return failed(f"The run {end.status}: {str(error.get('message', ''))[:500]}")


def failed(message: str) -> str:
    return json.text({"error": message})


def _name(workflow: str, taken: Mapping[str, Tool]) -> str:
    base = _UNSPEAKABLE.sub("_", workflow).strip("_")[:_MAX_NAME] or "workflow"
    name, number = base, 2
    while name in taken or name == ANSWER:
        name, number = f"{base}_{number}", number + 1
    return name
