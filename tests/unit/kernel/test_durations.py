"""Durations and rates as people write them."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flowforge.kernel import durations


@pytest.mark.parametrize(
    ("written", "seconds"),
    [
        ("500ms", 0.5),
        ("30s", 30),
        ("5m", 300),
        ("1h", 3600),
        ("1d", 86_400),
        ("1w", 604_800),
        ("1h30m", 5400),
        ("1h 30m", 5400),
        ("1d12h", 129_600),
        ("1m500ms", 60.5),
        ("1.5h", 5400),
        ("PT1H30M", 5400),
        ("P1D", 86_400),
        ("P1DT12H", 129_600),
        ("P2W", 1_209_600),
        ("PT0.5S", 0.5),
        ("90", 90),
        ("1.5", 1.5),
        (90, 90),
        (0.25, 0.25),
        (0, 0),
        ("0s", 0),
        ("3653d", durations.MAX_SECONDS),
    ],
)
def test_it_works_for_every_form(written: object, seconds: float) -> None:
    assert durations.parse(written) == seconds


@pytest.mark.parametrize(
    ("written", "message"),
    [
        ("", "not a duration"),
        ("soon", "not a duration"),
        ("30x", "not a duration"),
        ("1H", "not a duration"),
        ("30m1h", "not a duration"),
        ("5m5m", "not a duration"),
        ("1h ", "not a duration"),
        (" 1h", "not a duration"),
        ("-5s", "not a duration"),
        ("1e3", "not a duration"),
        ("٣s", "not a duration"),
        ("P", "not a duration"),
        ("PT", "not a duration"),
        ("P1DT", "not a duration"),
        ("1h\n", "not a duration"),
        ("P1Y", "days"),
        ("P2M", "days"),
        ("P1Y2DT3H", "days"),
        (-1, "negative"),
        (math.nan, "negative"),
        (math.inf, "ten years"),
        (-math.inf, "negative"),
        (10**400, "ten years"),
        ("9" * 60, "ten years"),
        ("9" * 65, "at most 64"),
        ("3654d", "ten years"),
        (True, "text such as"),
        (None, "text such as"),
        ([1], "text such as"),
    ],
)
def test_it_rejects_what_is_none(written: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        durations.parse(written)


@pytest.mark.parametrize(
    ("seconds", "written"),
    [(0, "0s"), (0.5, "500ms"), (5400, "1h30m"), (90_061.001, "1d1h1m1s1ms"), (604_800, "7d"), (0.0001, "0s")],
)
def test_format_writes_the_short_form(seconds: float, written: str) -> None:
    assert durations.format(seconds) == written


@given(st.integers(0, int(durations.MAX_SECONDS * 1000)))
def test_what_format_writes_parse_reads(milliseconds: int) -> None:
    assert durations.parse(durations.format(milliseconds / 1000)) == pytest.approx(milliseconds / 1000, abs=1e-6)


@given(st.text() | st.integers() | st.floats() | st.none())
def test_parse_gives_seconds_or_a_value_error(value: object) -> None:
    try:
        seconds = durations.parse(value)
    except ValueError:
        seconds = 0
    assert 0 <= seconds <= durations.MAX_SECONDS


@pytest.mark.parametrize(
    ("written", "rate"), [("100/m", (100, 60)), ("1/s", (1, 1)), ("5/h", (5, 3600)), ("2/d", (2, 86_400))]
)
def test_a_rate_is_a_number_per_unit(written: str, rate: tuple[int, float]) -> None:
    assert durations.parse_rate(written) == rate


@pytest.mark.parametrize("written", ["", "0/m", "-1/m", "1/y", "1.5/m", "m", "1/m ", 100, None, "1" * 10 + "/m"])
def test_it_rejects_what_is_no_rate(written: object) -> None:
    with pytest.raises(ValueError, match="100/m"):
        durations.parse_rate(written)
