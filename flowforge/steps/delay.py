"""`delay`: later."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar

from flowforge.core.clock import isoformat
from flowforge.core.errors import Fault
from flowforge.core.json import Json
from flowforge.kernel import durations
from flowforge.steps.base import BaseStep, Completed, Context, Failed, Kind, Outcome, Waiting
from flowforge.steps.bounds import bounded
from flowforge.steps.values import holds_expression


class Delay(BaseStep):
    """Goes on after `duration`, or at `until`; holds no process while it waits."""

    name: ClassVar[str] = "delay"
    title: ClassVar[str] = "Delay"
    description: ClassVar[str] = "Waits for a while, or until a moment."
    kind: ClassVar[Kind] = "pure"  # it only says until when
    config_schema: ClassVar[Mapping[str, Any]] = {
        "type": "object",
        "additionalProperties": False,
        "properties": {
            "duration": {
                "type": ["string", "number"],
                "title": "Duration",
                "description": "500ms, 30s, 5m, 1h, 1d, ISO 8601, or a number of seconds.",
            },
            "until": {
                "type": "string",
                "title": "Until",
                "description": "A moment as RFC 3339; UTC without an offset. One in the past: no wait.",
            },
        },
    }
    output_schema: ClassVar[Mapping[str, Any]] = {
        "type": "object",
        "required": ["until"],
        "properties": {"until": {"type": "string", "format": "date-time"}},
    }

    def check(self, config: Mapping[str, Any]) -> list[Fault]:
        if ("duration" in config) == ("until" in config):
            return [Fault(pointer="", code="one_of", detail="give either duration or until")]
        for field, parse in (("duration", durations.parse), ("until", _moment)):
            if field in config and not holds_expression(config[field]):
                try:
                    parse(config[field])
                except ValueError as error:
                    return [Fault(pointer=f"/{field}", code=f"invalid_{field}", detail=str(error))]
        return []

    def run(self, context: Context) -> Outcome:
        try:
            until = _until(context.config, context.now)
        except ValueError as error:
            return Failed(code="invalid_config", message=str(error), retryable=False)
        done = Completed(output={"until": isoformat(until)})
        return done if until <= context.now else bounded(Waiting(until=until, then=done), context)


def _until(config: Mapping[str, Any], now: datetime) -> datetime:
    if "until" in config:
        return _moment(config["until"])
    return now + timedelta(seconds=durations.parse(config["duration"]))


def _moment(value: Json) -> datetime:
    """Raises ValueError, with a message for people."""
    try:
        moment = datetime.fromisoformat(value)
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)
    except (TypeError, ValueError, OverflowError):
        raise ValueError(f"{value!r:.100} is not a moment such as 2026-01-01T12:00:00Z") from None
