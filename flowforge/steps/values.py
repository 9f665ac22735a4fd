"""Rendered values as steps read them: what counts as true, and how a value is written as text."""

from collections.abc import Mapping
from typing import Any, Final

from flowforge.core import json
from flowforge.core.errors import Fault
from flowforge.core.json import Json
from flowforge.kernel import durations

EVENT_NAME: Final = "[A-Za-z0-9_][A-Za-z0-9_.:/-]{0,99}"  # of a project event; `*` is left to patterns
RESERVED_EVENTS: Final = (
    *("run", "step", "workflow", "task", "approval"),
    *("credential", "alert", "schedule", "subscription"),
)
RESERVED_DETAIL: Final = (
    f"Events that begin with {', '.join(f'{name}.' for name in RESERVED_EVENTS)} are FlowForge's own."
)


def is_reserved_event(name: str) -> bool:
    """Does the name stand in a namespace in which FlowForge alone publishes?"""
    return name.partition(".")[0] in RESERVED_EVENTS and "." in name


def truth(value: Json) -> bool:
    """As Python's, but the texts `false` and "" (in any case, spaces aside) are false."""
    if isinstance(value, str):
        return value.strip().lower() not in ("", "false")
    return bool(value)


def text(value: Json) -> str:
    """A string as it is, anything else as its JSON: `true`, `null`, `3`, `{"a":1}`."""
    return value if isinstance(value, str) else json.canonical(value).decode()


def holds_expression(value: object) -> bool:
    """Is this a string that is rendered before the step runs?"""
    return isinstance(value, str) and "{{" in value


def faults_of_plain_text(value: object) -> list[Fault]:
    """Of the `expression` of a branching step: plain text always takes the same way, its author forgot the braces."""
    if not isinstance(value, str) or holds_expression(value):
        return []
    detail = "plain text always gives the same; write an expression in {{ … }}"
    return [Fault(pointer="/expression", code="not_an_expression", detail=detail)]


def faults_of_duration(config: Mapping[str, Any], field: str) -> list[Fault]:
    """Of a member that is a duration, if it is there."""
    if field not in config or holds_expression(config[field]):
        return []
    try:
        durations.parse(config[field])
    except ValueError as error:
        return [Fault(pointer=f"/{field}", code="invalid_duration", detail=str(error))]
    return []
