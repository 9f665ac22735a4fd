"""One record, one line, and nothing in it that a terminal or a log reader would obey."""

import json
import logging
import sys

import pytest

from flowforge.telemetry import trace
from flowforge.telemetry.logs import LineFormatter


def line(message: str, *args: object, exc_info=None, **extra: object) -> str:
    record = logging.LogRecord("flowforge.test", logging.WARNING, __file__, 1, message, args, exc_info)
    vars(record).update(extra)
    return LineFormatter().format(record)


def test_it_works():
    with trace.using(trace.begin()) as here:
        entry = json.loads(line("run %s ended", "r1", run_id="r1", seconds=0.5))
    assert entry["message"] == "run r1 ended"
    assert entry["level"] == "warning"
    assert entry["logger"] == "flowforge.test"
    assert entry["trace_id"] == here.trace_id
    assert (entry["run_id"], entry["seconds"]) == ("r1", 0.5)
    assert entry["at"].endswith("+00:00")


@pytest.mark.parametrize(
    "harmful",
    [
        "a\r\nb",
        "\n",
        "\x1b[2J",
        "\x00",
        "\x7f",
        "\x85",
        "\x9b31m",
        "\u2028",
        "\u2029",
        "\u202e",
        "\u2066",
        "\u200f",
        "\ufeff",
    ],
)
def test_it_rejects_characters_that_forge_or_colour_lines(harmful):
    text = line("said %s", harmful, path=harmful)
    assert harmful not in text
    assert text.isprintable()
    assert json.loads(text)["message"] == f"said {harmful}"  # nothing is lost: it is escaped


def test_other_letters_stay_readable():
    assert "naïve 你好 🚀" in line("naïve 你好 🚀")


def test_a_traceback_stays_on_the_line():
    try:
        raise ValueError("bad\nvalue")
    except ValueError:
        text = line("failed", exc_info=sys.exc_info())
    assert "\n" not in text
    assert "ValueError: bad\nvalue" in json.loads(text)["error"]


@pytest.mark.parametrize(
    "value", [object(), {1, 2}, 2**80, "\ud800", b"\xff", float("nan"), {"a": object()}, {(1, 2): 3}]
)
def test_whatever_is_logged_becomes_a_line(value):
    entry = json.loads(line("odd", value=value))
    assert "value" in entry
    assert "odd" in entry["message"]


def test_a_record_outside_of_a_trace_has_no_trace_id():
    assert "trace_id" not in json.loads(line("alone"))
