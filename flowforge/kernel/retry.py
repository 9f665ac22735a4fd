"""When the next attempt of a failed step is due: a function of values."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final

from flowforge.kernel.definition import RetryPolicy

MAX_RETRY_AFTER_SECONDS: Final = 86_400.0  # another side's wish may not park a run for longer


def delay_seconds(policy: RetryPolicy, failures: int, *, random: Callable[[], float]) -> float:
    """Seconds to wait after the `failures`-th failed attempt (from 1).

    Exponential from `initial_delay`, varied by up to `jitter` of itself either way (`random` gives [0, 1)) so that
    what failed together does not come back together; never over `max_delay`, never negative.
    """
    delay = min(_exponential(policy, failures), policy.max_delay)
    spread = 1.0 + policy.jitter * (2.0 * random() - 1.0)
    return min(max(0.0, delay * spread), policy.max_delay)


def next_attempt_at(
    policy: RetryPolicy,
    attempt: int,
    now: datetime,
    random: Callable[[], float],
    retry_after_seconds: float | None = None,
) -> datetime | None:
    """The moment of the attempt that follows the failed `attempt` (from 1); None if the attempts are used up.

    `retry_after_seconds`, the other side's wish, wins where it is longer, up to a day.
    """
    if attempt >= policy.max_attempts:
        return None
    delay = delay_seconds(policy, attempt, random=random)
    if retry_after_seconds is not None:
        delay = max(delay, min(retry_after_seconds, MAX_RETRY_AFTER_SECONDS))
    return now + timedelta(seconds=delay)


def _exponential(policy: RetryPolicy, failures: int) -> float:
    try:
        return policy.initial_delay * policy.backoff_factor ** max(0, failures - 1)
    except OverflowError:
        return policy.max_delay
