"""What becomes of due times: catching up and overlap, as the firing and the simulator see them."""

from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flowforge.kernel.schedules import Interval, Policy, Recurrence, Standing, plan
from flowforge.kernel.schedules.policy import CATCH_UPS, GRACE, MAX_CAUGHT_UP, MAX_LOOKED_AT, MAX_QUEUED, OVERLAPS
from flowforge.kernel.schedules.simulation import Simulation, World

START = datetime(2026, 1, 1, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
MINUTELY = Recurrence(pattern=Interval(every=MINUTE, anchor=START))


def planned(*, minutes: float, cursor: int = 0, live: int = 0, queued: int = 0, **policy: object) -> list[tuple]:
    """(minute, decision, reason, starts) of each due time from `cursor` on, looked at after so many minutes."""
    found = plan(
        MINUTELY,
        Policy(**policy),
        cursor=START + cursor * MINUTE,
        now=START + minutes * MINUTE,
        standing=Standing(live=live, queued=queued),
    )
    return [((v.due_at - START) // MINUTE, v.decision, v.reason, v.starts) for v in found.verdicts]


def test_it_works() -> None:
    assert planned(minutes=0) == [(0, "fired", "on_time", True)]
    assert planned(minutes=0.4) == [(0, "fired", "on_time", True)]  # a little late is on time
    assert planned(minutes=0.5, cursor=1) == []


@pytest.mark.parametrize(
    ("catch_up", "expected"),
    [
        ("none", [("skipped", False), ("skipped", False), ("fired", True)]),
        ("last", [("coalesced", False), ("coalesced", False), ("fired", True)]),
        ("all", [("late", True), ("late", True), ("fired", True)]),
    ],
)
def test_catching_up(catch_up: str, expected: list) -> None:
    found = planned(minutes=2.1, catch_up=catch_up, overlap="allow")
    assert [(decision, starts) for _, decision, _, starts in found] == expected


def test_the_last_that_is_late_starts_alone() -> None:
    found = planned(minutes=2.9, catch_up="last", overlap="allow")
    assert [(decision, starts) for _, decision, _, starts in found] == [
        ("coalesced", False),
        ("coalesced", False),
        ("late", True),
    ]


def test_what_is_older_than_the_window_is_told_at_once() -> None:
    found = plan(
        MINUTELY,
        Policy(catch_up="all", overlap="allow", window=timedelta(minutes=10)),
        cursor=START,
        now=START + 60.1 * MINUTE,
        standing=Standing(),
    )
    old, *others = found.verdicts
    assert (old.decision, old.reason, old.due_at, old.until) == (
        "skipped",
        "outside_window",
        START,
        START + 51 * MINUTE,
    )
    assert len(others) == 10
    assert all(verdict.starts for verdict in others)


def test_catching_up_comes_in_helpings() -> None:
    cursor, total = START, 0
    now = START + 200.1 * MINUTE
    while True:
        found = plan(MINUTELY, Policy(catch_up="all", overlap="allow"), cursor=cursor, now=now, standing=Standing())
        total += len(found.verdicts)
        assert len(found.verdicts) <= MAX_CAUGHT_UP + 1
        assert found.next_due_at is not None
        cursor = found.next_due_at
        if not found.more:
            break
    assert total == 201
    assert cursor == START + 201 * MINUTE


def test_one_look_is_bounded() -> None:
    found = plan(MINUTELY, Policy(catch_up="last"), cursor=START, now=START + 1000.1 * MINUTE, standing=Standing())
    assert len(found.verdicts) == MAX_LOOKED_AT
    assert found.more
    assert not any(verdict.starts for verdict in found.verdicts)  # the last is still to come


@pytest.mark.parametrize(
    ("overlap", "expected"),
    [
        ("skip", ("skipped", "overlap", False)),
        ("queue", ("deferred", "overlap", False)),
        ("allow", ("fired", "on_time", True)),
        ("cancel_running", ("fired", "cancelled_running", True)),
    ],
)
def test_overlap(overlap: str, expected: tuple) -> None:
    [found] = planned(minutes=0, overlap=overlap, live=1)
    assert found[1:] == expected


def test_two_due_times_at_once_overlap_each_other() -> None:
    """Caught up together, they would have met: the first starts, of the others the policy says."""
    found = planned(minutes=2.1, catch_up="all", overlap="skip")
    assert [decision for _, decision, _, _ in found] == ["late", "skipped", "skipped"]
    found = planned(minutes=2.1, catch_up="all", overlap="queue")
    assert [decision for _, decision, _, _ in found] == ["late", "deferred", "deferred"]
    found = planned(minutes=2.1, catch_up="all", overlap="cancel_running")
    assert [decision for _, decision, _, _ in found] == ["coalesced", "coalesced", "fired"]


def test_it_rejects_what_the_queue_does_not_hold() -> None:
    [found] = planned(minutes=0, overlap="queue", live=1, queued=MAX_QUEUED)
    assert found[1:] == ("rejected", "queue_full", False)


def test_who_waits_goes_first() -> None:
    [found] = planned(minutes=0, overlap="queue", live=0, queued=1)
    assert found[1:3] == ("deferred", "overlap")


@given(
    overlap=st.sampled_from(OVERLAPS),
    catch_up=st.sampled_from(CATCH_UPS),
    looks=st.lists(st.integers(1, 9_000), max_size=20),
    every=st.integers(1, 120),
    jitter=st.integers(0, 60),
    live=st.integers(0, 2),
)
def test_each_due_time_is_decided_about_once(
    overlap: str, catch_up: str, looks: list[int], every: int, jitter: int, live: int
) -> None:
    """However long nobody looks, however often somebody does: no due time is left out, none comes twice."""
    recurrence = Recurrence(
        pattern=Interval(every=timedelta(seconds=every), anchor=START),
        jitter=timedelta(seconds=min(jitter, every)),
        key="k",
    )
    policy = Policy(overlap=overlap, catch_up=catch_up, window=timedelta(days=31))
    cursor, now, seen = START, START, Counter()
    for seconds in looks:
        now += timedelta(seconds=seconds)
        for _ in range(2000):
            found = plan(recurrence, policy, cursor=cursor, now=now, standing=Standing(live=live))
            seen.update(verdict.due_at for verdict in found.verdicts)
            assert found.next_due_at is not None
            cursor = found.next_due_at
            if not found.more:
                break
    due = [START + n * timedelta(seconds=every) for n in range(int((cursor - START).total_seconds()) // every)]
    assert sorted(seen) == due
    assert all(count == 1 for count in seen.values())
    assert all(recurrence.fires_at(moment) <= now for moment in due)


# --- the simulator ------------------------------------------------------------------------------------------------


def played(world: World, minutes: int = 6, **policy: object) -> list[tuple[int, str, float | None]]:
    steps = Simulation(MINUTELY, Policy(**policy), world).steps(START, START + minutes * MINUTE, 1000)
    return [
        ((s.due.at - START) // MINUTE, s.decision, None if s.run_at is None else (s.run_at - START) / MINUTE)
        for s in steps
    ]


def test_it_plays_what_would_be() -> None:
    assert played(World(), minutes=2) == [(0, "fired", 0.0), (1, "fired", 1.0)]


def test_it_plays_overlap() -> None:
    long = World(run_lasts=1.5 * MINUTE)
    assert [decision for _, decision, _ in played(long, minutes=4, overlap="skip")] == [
        "fired",
        "skipped",
        "fired",
        "skipped",
    ]
    assert played(long, minutes=3, overlap="queue") == [
        (0, "fired", 0.0),
        (1, "deferred", 1.5),
        (2, "deferred", 3.0),
    ]


def test_it_plays_downtime() -> None:
    down = World(downtimes=[(START + 0.5 * MINUTE, START + 3.9 * MINUTE)])
    assert played(down, minutes=5, catch_up="none", overlap="allow")[1:4] == [
        (1, "skipped", None),
        (2, "skipped", None),
        (3, "skipped", None),
    ]
    assert played(down, minutes=5, catch_up="all", overlap="allow")[1:5] == [
        (1, "late", 3.9),
        (2, "late", 3.9),
        (3, "late", 3.9),
        (4, "fired", 4.0),
    ]
    assert played(down, minutes=5, catch_up="last", overlap="allow")[3] == (3, "late", 3.9)


def test_grace_is_shorter_than_a_minute() -> None:
    assert GRACE < MINUTE
