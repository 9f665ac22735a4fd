"""Workflows of the run's project as tools: what a step that lets others choose its runs needs of the world."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Protocol

from flowforge.core.json import Json


@dataclass(frozen=True, kw_only=True, slots=True)
class Tool:
    """A workflow that may be called."""

    workflow_id: str
    name: str
    description: str = ""
    input_schema: Mapping[str, Json] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, slots=True)
class ToolEnd:
    """How a run that was called has ended."""

    status: str  # completed, failed, cancelled
    outputs: Json = None
    error: Json = None


class ToolPort(Protocol):
    """Runs of other workflows, any number for a step; each is started once and ends with its step."""

    def find(self, workflow: str) -> Tool | None:
        """By id, or by a name that only one workflow of the project has; None: there is no such."""
        ...

    def start(self, tool: Tool, inputs: Mapping[str, Json], number: int) -> str:
        """The step's call number `number`, from 0: the same number, the same run; gives its id. Raises StartRefused."""
        ...

    def ended(self, run_id: str) -> ToolEnd | None:
        """None while it goes on."""
        ...

    def abandon(self) -> None:
        """Ask those that still go on to end."""
        ...


class NoTools:
    """The port where there are none."""

    def find(self, workflow: str) -> Tool | None:  # noqa: ARG002  the port's signature
        return None

    def start(self, tool: Tool, inputs: Mapping[str, Json], number: int) -> str:
        raise LookupError(f"{tool.name} was not found here: {number}, {len(inputs)}")

    def ended(self, run_id: str) -> ToolEnd | None:  # noqa: ARG002  the port's signature
        return None

    def abandon(self) -> None:
        """None was started."""


NO_TOOLS: Final = NoTools()
