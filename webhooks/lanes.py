"""Who may have how many of the sending threads, so that no receiver delays another. A value, without threads or I/O.

Each subscription has a lane. One that is not known begins with a thread, and has twice as many after each answer that
came quickly; one that fails or is slow has one thread until it is well again, and is slow as soon as an answer has
not come quickly. Of all threads a quarter is for those that are ill, half for those that are not known; what is left
of them, a quarter at least, is always there for who answers.
"""

import uuid
from dataclasses import dataclass
from enum import Enum
from typing import Final

MAX_WIDTH: Final = 8  # of a lane
QUICK_SECONDS: Final = 1.0


class Health(Enum):
    WELL = "well"
    UNKNOWN = "unknown"
    ILL = "ill"


@dataclass(slots=True)
class _Lane:
    health: Health
    width: int = 1
    active: int = 0
    moved_at: float = 0.0  # when an attempt last began or ended

    def health_at(self, now: float) -> Health:
        """Nothing has come back for a while: it is not well, whatever it was."""
        is_late = self.active > 0 and now - self.moved_at > QUICK_SECONDS
        return Health.ILL if is_late else self.health


class Lanes:
    """Used by one thread. `now` is of a clock that only goes forward, in seconds."""

    def __init__(self, threads: int) -> None:
        self._threads = threads
        self._lanes: dict[uuid.UUID, _Lane] = {}

    def __len__(self) -> int:
        return len(self._lanes)

    @property
    def active(self) -> int:
        return sum(lane.active for lane in self._lanes.values())

    def full(self) -> list[uuid.UUID]:
        """The lanes that have all the threads that they may have."""
        return [key for key, lane in self._lanes.items() if lane.active >= lane.width]

    def room(self, key: uuid.UUID, failure_count: int, now: float) -> int:
        """How many deliveries of this subscription may begin now."""
        lane = self._lanes.get(key)
        if lane is None:
            lane = self._lanes[key] = _Lane(Health.ILL if failure_count else Health.UNKNOWN)
        ill, unknown = self._active_of(Health.ILL, now), self._active_of(Health.UNKNOWN, now)
        free, health = self._threads - self.active, lane.health_at(now)
        if health is not Health.WELL:
            free = min(free, max(1, self._threads * 3 // 4) - ill - unknown)
        if health is Health.UNKNOWN:
            free = min(free, max(1, self._threads // 2) - unknown)
        if health is Health.ILL:
            free = min(free, max(1, self._threads // 4) - ill)
        return max(0, min(lane.width - lane.active, free))

    def begin(self, key: uuid.UUID, count: int, now: float) -> None:
        lane = self._lanes[key]
        lane.active, lane.moved_at = lane.active + count, now

    def end(self, key: uuid.UUID, *, delivered: bool, seconds: float, now: float) -> None:
        """An attempt is over, which has taken so long."""
        lane = self._lanes[key]
        lane.active, lane.moved_at = lane.active - 1, now
        if delivered and seconds <= QUICK_SECONDS:
            lane.health, lane.width = Health.WELL, min(lane.width * 2, MAX_WIDTH)
        else:
            lane.health, lane.width = Health.ILL, 1

    def tidy(self) -> None:
        """Forget whom nothing is sent to: what is ill is known by its failures, what is well finds its width soon."""
        self._lanes = {key: lane for key, lane in self._lanes.items() if lane.active}

    def _active_of(self, health: Health, now: float) -> int:
        return sum(lane.active for lane in self._lanes.values() if lane.active and lane.health_at(now) is health)
