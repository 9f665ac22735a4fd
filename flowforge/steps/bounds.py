"""How long a step waits at most."""

from dataclasses import replace
from datetime import datetime, timedelta

from flowforge.kernel import durations
from flowforge.steps.base import Context, Failed, Waiting


def deadline(context: Context) -> datetime | None:
    """When the `timeout` of its config is up; None without one. Raises ValueError, with a message for people."""
    if "timeout" not in context.config:
        return None
    return context.now + timedelta(seconds=durations.parse(context.config["timeout"]))


def bounded(waiting: Waiting, context: Context) -> Waiting:
    """The wait, but no longer than the node's own timeout: it has failed then."""
    limit = context.timeout_seconds
    if limit is None:
        return waiting
    ends_at = context.now + timedelta(seconds=limit)
    if waiting.until is not None and waiting.until <= ends_at:
        return waiting
    late = Failed(code="timeout", message=f"The step exceeded its timeout of {limit:g} s.", retryable=False)
    return replace(waiting, until=ends_at, then=late)
