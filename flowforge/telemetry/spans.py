"""Spans: what was done, for how long, below what. Without an OpenTelemetry exporter they cost next to nothing.

The standard `OTEL_*` variables decide: an exporter is loaded by the first span of a process (after any fork), if
OTEL_TRACES_EXPORTER or an OTLP endpoint is named and OTEL_SDK_DISABLED isn't true.
"""

import functools
import os
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from importlib import import_module
from typing import Final, Protocol

from flowforge.telemetry import trace
from flowforge.telemetry.trace import Trace

Attribute = str | int | float | bool

_ENDPOINTS: Final = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")


class Tracer(Protocol):
    """What stands behind spans when they are exported."""

    def span(
        self, name: str, parent: Trace | None, attributes: Mapping[str, Attribute], *, serves: bool
    ) -> AbstractContextManager[Trace]:
        """A span below `parent` for the block; `serves`: it answers a request from outside."""

    def note(self, attributes: Mapping[str, Attribute]) -> None:
        """Add to the span that is open."""


@contextmanager
def span(name: str, **attributes: Attribute) -> Iterator[None]:
    """Do the block as a span of the current trace. Names are low in cardinality; what varies is an attribute."""
    exporter = tracer()
    if exporter is None:
        yield
        return
    with exporter.span(name, trace.current(), attributes, serves=False) as here, trace.using(here):
        yield


@contextmanager
def serving(traceparent: str | None, name: str) -> Iterator[Trace]:
    """Answer a request in the trace that its `traceparent` header names, or in a new one."""
    exporter = tracer()
    if exporter is None:
        with trace.using(trace.begin(traceparent)) as here:
            yield here
        return
    parent = trace.parse(traceparent) if traceparent else None
    with exporter.span(name, parent, {}, serves=True) as here, trace.using(here):
        yield here


def note(attributes: Mapping[str, Attribute]) -> None:
    """Add to the span that is open, if any is exported."""
    exporter = tracer()
    if exporter is not None:
        exporter.note(attributes)


@functools.cache
def tracer() -> Tracer | None:
    """The exporter of this process; None without one."""
    if not is_wanted(os.environ):
        return None
    found: Tracer = import_module("flowforge.telemetry.otel").from_environment()  # half a second to load
    return found


def is_wanted(environment: Mapping[str, str]) -> bool:
    """Do the `OTEL_*` variables ask for traces?"""
    if environment.get("OTEL_SDK_DISABLED", "").lower() == "true":
        return False
    exporter = environment.get("OTEL_TRACES_EXPORTER", "")
    return exporter != "none" and (bool(exporter) or any(environment.get(name) for name in _ENDPOINTS))
