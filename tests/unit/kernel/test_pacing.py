"""A pace with bursts, against what a token bucket says."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from flowforge.kernel import pacing
from flowforge.kernel.definition import RateLimit

START = datetime(2026, 1, 1, tzinfo=UTC)
RATE = RateLimit(limit=3, seconds=60)


def take(rate: RateLimit, arrives_at: datetime | None, now: datetime) -> tuple[bool, datetime | None]:
    if pacing.free(rate, arrives_at, now) == 0:
        return False, arrives_at
    return True, pacing.after_one(rate, arrives_at, now)


def test_it_works() -> None:
    """Three at once, then one each twenty seconds, at the moment that was named."""
    arrives_at = None
    for left in (3, 2, 1):
        assert pacing.free(RATE, arrives_at, START) == left
        assert pacing.opens_at(RATE, arrives_at, START) == START
        arrives_at = pacing.after_one(RATE, arrives_at, START)
    assert pacing.free(RATE, arrives_at, START) == 0
    opens_at = pacing.opens_at(RATE, arrives_at, START)
    assert opens_at == START + timedelta(seconds=20)
    assert pacing.free(RATE, arrives_at, opens_at - timedelta(microseconds=1)) == 0
    assert pacing.free(RATE, arrives_at, opens_at) == 1


@given(
    limit=st.integers(1, 50),
    seconds=st.sampled_from([1.0, 60.0, 3600.0]),
    waits=st.lists(st.floats(0, 30), min_size=1, max_size=200),
)
def test_no_window_has_more_than_the_burst_and_what_was_refilled(
    limit: int, seconds: float, waits: list[float]
) -> None:
    rate, now, arrives_at, taken = RateLimit(limit=limit, seconds=seconds), START, None, []
    for wait in waits:
        now += timedelta(seconds=wait)
        done, arrives_at = take(rate, arrives_at, now)
        if done:
            taken.append(now)
        else:
            opens_at = pacing.opens_at(rate, arrives_at, now)
            assert opens_at > now
            assert pacing.free(rate, arrives_at, opens_at) >= 1
    for first, begin in enumerate(taken):
        for last in range(first, len(taken)):
            passed = (taken[last] - begin).total_seconds()
            assert last - first + 1 <= limit + passed * limit / seconds + 0.001


def test_a_limit_that_is_changed_holds_at_once() -> None:
    arrives_at = None
    for _ in range(3):
        arrives_at = pacing.after_one(RATE, arrives_at, START)
    assert pacing.free(RateLimit(limit=6, seconds=60), arrives_at, START) == 0
    assert pacing.free(RateLimit(limit=100, seconds=1), arrives_at, START + timedelta(seconds=60)) == 100
