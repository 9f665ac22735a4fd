"""Who may have how many of the sending threads."""

import uuid

from webhooks.lanes import MAX_WIDTH, Lanes

THREADS = 32


def fill(lanes: Lanes, key: uuid.UUID, failure_count: int = 0, now: float = 0.0) -> int:
    room = lanes.room(key, failure_count, now)
    if room:
        lanes.begin(key, room, now)
    return room


def end(lanes: Lanes, key: uuid.UUID, *, delivered: bool = True, seconds: float = 0.01, times: int = 1) -> None:
    for _ in range(times):
        lanes.end(key, delivered=delivered, seconds=seconds, now=0.0)


def well(lanes: Lanes) -> uuid.UUID:
    """A lane at its full width, with nothing under way."""
    key = uuid.uuid4()
    for _ in range(4):
        lanes.room(key, 0, 0.0)
        lanes.begin(key, 1, 0.0)
        end(lanes, key)
    return key


def test_it_works():
    lanes, key = Lanes(THREADS), uuid.uuid4()
    widths = []
    for _ in range(5):
        widths.append(fill(lanes, key))
        end(lanes, key, times=widths[-1])
    assert widths[:2] == [1, 2]
    assert widths[-1] == MAX_WIDTH


def test_one_that_fails_or_is_slow_has_one_thread_until_it_is_well():
    for delivered, seconds in ((False, 0.01), (True, 14.0)):
        lanes = Lanes(THREADS)
        key = well(lanes)
        assert fill(lanes, key) == MAX_WIDTH
        end(lanes, key, delivered=delivered, seconds=seconds, times=MAX_WIDTH)
        assert fill(lanes, key) == 1
        end(lanes, key)
        assert lanes.room(key, 0, 0.0) == 2


def test_a_full_lane_is_known():
    lanes, key = Lanes(THREADS), uuid.uuid4()
    fill(lanes, key)
    assert lanes.full() == [key]
    assert lanes.room(key, 0, 0.0) == 0


def test_the_ill_have_a_quarter_and_the_unknown_half():
    lanes = Lanes(THREADS)
    good = well(lanes)
    assert sum(fill(lanes, uuid.uuid4(), failure_count=3) for _ in range(100)) == THREADS // 4
    assert sum(fill(lanes, uuid.uuid4()) for _ in range(100)) == THREADS // 2
    assert fill(lanes, good) == MAX_WIDTH


def test_who_does_not_answer_makes_room_for_others_that_are_not_known():
    lanes = Lanes(THREADS)
    assert sum(fill(lanes, uuid.uuid4()) for _ in range(100)) == 16
    assert sum(fill(lanes, uuid.uuid4(), now=0.5) for _ in range(100)) == 0
    assert sum(fill(lanes, uuid.uuid4(), now=1.5) for _ in range(100)) == 8
    assert sum(fill(lanes, uuid.uuid4(), now=3.0) for _ in range(100)) == 0  # a quarter is for who answers
    assert fill(lanes, well(lanes), now=3.0) == MAX_WIDTH


def test_one_that_was_well_and_hangs_is_not_well():
    lanes = Lanes(THREADS)
    key = well(lanes)
    lanes.begin(key, 2, 0.0)
    assert lanes.room(key, 0, 0.5) == MAX_WIDTH - 2
    for _ in range(8):
        fill(lanes, uuid.uuid4(), failure_count=1)
    assert lanes.room(key, 0, 1.5) == 0


def test_no_more_than_all_threads_are_given():
    lanes = Lanes(4)
    assert fill(lanes, well(lanes)) == 4
    assert fill(lanes, uuid.uuid4()) == 0
    assert lanes.active == 4


def test_one_thread_is_enough_for_everybody_in_turn():
    lanes, first, second = Lanes(1), uuid.uuid4(), uuid.uuid4()
    assert fill(lanes, first, failure_count=1) == 1
    assert fill(lanes, second) == 0
    end(lanes, first, delivered=False)
    assert fill(lanes, second) == 1


def test_idle_lanes_are_forgotten():
    lanes, busy = Lanes(THREADS), uuid.uuid4()
    fill(lanes, busy)
    well(lanes)
    lanes.tidy()
    assert len(lanes) == 1
