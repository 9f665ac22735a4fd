"""Spans: exported where the environment asks for it, continuing the caller's trace; nothing otherwise."""

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from flowforge.telemetry import spans, trace
from flowforge.telemetry.otel import OtelTracer

TRACEPARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


@pytest.fixture
def exported(monkeypatch) -> InMemorySpanExporter:
    exporter, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    tracer = OtelTracer(provider)
    monkeypatch.setattr(spans, "tracer", lambda: tracer)
    return exporter


def test_it_works(exported):
    with spans.serving(TRACEPARENT, "GET") as here:
        assert trace.current() == here
        assert here.trace_id == "0af7651916cd43dd8448eb211c80319c"
        with spans.span("run.drive", run_id="r1"):
            spans.note({"rounds": 2})
        assert trace.current() == here
    inner, outer = exported.get_finished_spans()
    assert (inner.name, dict(inner.attributes)) == ("run.drive", {"run_id": "r1", "rounds": 2})
    assert f"{outer.parent.span_id:016x}" == "b7ad6b7169203331"
    assert inner.parent.span_id == outer.context.span_id
    assert inner.context.trace_id == outer.context.trace_id == int(here.trace_id, 16)
    assert trace.current() is None


def test_it_rejects_an_invalid_header_by_beginning_a_trace(exported):
    with spans.serving("nonsense", "GET") as here:
        pass
    (span,) = exported.get_finished_spans()
    assert span.parent is None
    assert f"{span.context.trace_id:032x}" == here.trace_id


def test_an_error_marks_the_span(exported):
    with pytest.raises(ValueError, match="no"), spans.span("step"):
        raise ValueError("no")
    (span,) = exported.get_finished_spans()
    assert not span.status.is_ok


def test_without_an_exporter_the_trace_goes_on_all_the_same():
    assert spans.tracer() is None
    with spans.serving(TRACEPARENT, "GET") as here, spans.span("step"):
        spans.note({"rounds": 1})
        assert trace.current() == here
        assert here.trace_id in TRACEPARENT
    assert trace.current() is None


@pytest.mark.parametrize(
    ("environment", "wanted"),
    [
        ({}, False),
        ({"OTEL_TRACES_EXPORTER": "none"}, False),
        ({"OTEL_TRACES_EXPORTER": "otlp"}, True),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:4318"}, True),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:4318", "OTEL_TRACES_EXPORTER": "none"}, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:4318", "OTEL_SDK_DISABLED": "true"}, False),
    ],
)
def test_the_environment_decides(environment, wanted):
    assert spans.is_wanted(environment) is wanted
