"""Spans by OpenTelemetry. Imported only where the environment asks for an exporter (`spans.tracer`)."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from opentelemetry import trace as otel
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import NonRecordingSpan, SpanContext, SpanKind, TraceFlags

from flowforge.telemetry.spans import Attribute
from flowforge.telemetry.trace import Trace


class OtelTracer:
    """`spans.Tracer` over a tracer provider."""

    def __init__(self, provider: TracerProvider) -> None:
        self._tracer = provider.get_tracer("flowforge")

    @contextmanager
    def span(
        self, name: str, parent: Trace | None, attributes: Mapping[str, Attribute], *, serves: bool
    ) -> Iterator[Trace]:
        kind = SpanKind.SERVER if serves else SpanKind.INTERNAL
        context = _context(parent)
        with self._tracer.start_as_current_span(name, context, kind=kind, attributes=dict(attributes)) as span:
            here = span.get_span_context()
            yield Trace(f"{here.trace_id:032x}", f"{here.span_id:016x}", f"{here.trace_flags:02x}")

    def note(self, attributes: Mapping[str, Attribute]) -> None:
        otel.get_current_span().set_attributes(dict(attributes))


def from_environment() -> OtelTracer:
    """A tracer that sends to the OTLP endpoint that the `OTEL_*` variables name."""
    provider = TracerProvider(resource=Resource.create({"service.name": "flowforge"}))
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    return OtelTracer(provider)


def _context(parent: Trace | None) -> Context:
    """The context in which a span is a child of `parent`; an empty one begins a trace."""
    if parent is None:
        return Context()
    place = SpanContext(
        int(parent.trace_id, 16), int(parent.span_id, 16), is_remote=True, trace_flags=TraceFlags(int(parent.flags, 16))
    )
    return otel.set_span_in_context(NonRecordingSpan(place), Context())
