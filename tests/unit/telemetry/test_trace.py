"""W3C Trace Context: what is continued, what is refused."""

import threading

import pytest

from flowforge.telemetry import trace

VALID = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


def test_it_works():
    here = trace.begin(VALID)
    assert here.trace_id == "0af7651916cd43dd8448eb211c80319c"
    assert here.span_id != "b7ad6b7169203331"
    assert trace.parse(here.traceparent) == here


@pytest.mark.parametrize(
    "header",
    [
        "",
        "nonsense",
        VALID.upper(),
        VALID + "-extra",  # version 00 has four parts
        "ff" + VALID[2:],  # forbidden version
        "00-" + "0" * 32 + "-b7ad6b7169203331-01",
        "00-0af7651916cd43dd8448eb211c80319c-" + "0" * 16 + "-01",
        VALID[:-1],
        VALID + "\n",
        " " + VALID,
        "00_" + VALID[3:],
    ],
)
def test_it_rejects_what_is_not_valid_and_begins_anew(header):
    assert trace.parse(header) is None
    fresh = trace.begin(header)
    assert fresh.trace_id not in VALID
    assert trace.parse(fresh.traceparent) == fresh


def test_a_later_version_may_say_more():
    assert trace.parse("01" + VALID[2:] + "-what-is-to-come") is not None


def test_flags_are_passed_on():
    assert trace.begin(VALID[:-2] + "00").flags == "00"


def test_the_current_trace_is_that_of_the_block_and_of_its_thread():
    assert trace.current() is None
    with trace.using(trace.begin()) as here:
        assert trace.current() is here
        assert trace.current_or_new() is here
        seen: list[object] = []
        thread = threading.Thread(target=lambda: seen.append(trace.current()))
        thread.start()
        thread.join()
        assert seen == [None]
    assert trace.current() is None
    assert trace.current_or_new() != trace.current_or_new()
