"""When the next attempt is due."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flowforge.kernel.definition import RetryPolicy
from flowforge.kernel.retry import MAX_RETRY_AFTER_SECONDS, delay_seconds, next_attempt_at

NOW = datetime(2026, 1, 1, tzinfo=UTC)
POLICY = RetryPolicy(max_attempts=5, initial_delay=1.0, max_delay=300.0, backoff_factor=2.0, jitter=0.1)


def middle() -> float:
    """The random number that leaves a delay as it is."""
    return 0.5


def test_it_works_exponentially() -> None:
    assert [delay_seconds(POLICY, failures, random=middle) for failures in (1, 2, 3, 4)] == [1, 2, 4, 8]


def test_the_delay_is_capped() -> None:
    assert delay_seconds(POLICY, 20, random=middle) == 300
    assert delay_seconds(POLICY, 1_000_000, random=middle) == 300


def test_jitter_varies_the_delay_either_way() -> None:
    assert delay_seconds(POLICY, 3, random=lambda: 0.0) == pytest.approx(3.6)
    assert delay_seconds(POLICY, 3, random=lambda: 0.999_999) == pytest.approx(4.4, rel=1e-5)


@given(
    st.builds(
        RetryPolicy,
        initial_delay=st.floats(0, 1e8),
        max_delay=st.floats(0, 1e8),
        backoff_factor=st.floats(1, 100),
        jitter=st.floats(0, 1),
    ),
    st.integers(0, 10_000),
    st.floats(0, 1, exclude_max=True),
)
def test_the_delay_is_never_negative_and_never_over_the_cap(policy: RetryPolicy, failures: int, chance: float) -> None:
    assert 0 <= delay_seconds(policy, failures, random=lambda: chance) <= policy.max_delay


def test_the_next_attempt_is_due_after_the_delay() -> None:
    assert next_attempt_at(POLICY, 2, NOW, middle) == NOW + timedelta(seconds=2)


def test_it_rejects_another_attempt_when_they_are_used_up() -> None:
    assert next_attempt_at(POLICY, 4, NOW, middle) is not None
    assert next_attempt_at(POLICY, 5, NOW, middle) is None
    assert next_attempt_at(RetryPolicy(), 1, NOW, middle) is None


@pytest.mark.parametrize(
    ("wish", "seconds"), [(0.5, 1), (60, 60), (10 * MAX_RETRY_AFTER_SECONDS, MAX_RETRY_AFTER_SECONDS), (-5, 1)]
)
def test_the_other_sides_wish_wins_where_it_is_longer(wish: float, seconds: float) -> None:
    assert next_attempt_at(POLICY, 1, NOW, middle, retry_after_seconds=wish) == NOW + timedelta(seconds=seconds)
