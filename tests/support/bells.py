"""Hears the bell instead of the broker."""

import random
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field

from flowforge.core import bell


@dataclass(frozen=True)
class Ring:
    name: str  # bell.DRIVE or bell.WORK
    run_id: uuid.UUID
    queue: str
    last_chance: bool = False


@dataclass
class BellRecorder:
    """Every hint that was rung, in order; nothing reaches a broker.

    Hints ring on commit: in a test within a transaction (`db`) wrap the call in `django_capture_on_commit_callbacks`.
    """

    rings: list[Ring] = field(default_factory=list)

    def send(self, name: str, args: list[str], queue: str) -> None:
        """Has the signature of flowforge.core.bell's own sender, whose place it takes."""
        runs = args if name == bell.DRIVE else args[:1]  # none: that there are webhooks to be sent
        last = args[2:] == [bell.LAST_CHANCE] and name == bell.WORK
        self.rings.extend(Ring(name=name, run_id=uuid.UUID(run_id), queue=queue, last_chance=last) for run_id in runs)

    @property
    def driven(self) -> list[uuid.UUID]:
        """The runs that someone was asked to drive, in order."""
        return [ring.run_id for ring in self.rings if ring.name == bell.DRIVE]

    @property
    def worked(self) -> list[tuple[uuid.UUID, str]]:
        """(run, queue) of each hint to workers, in order."""
        return [(ring.run_id, ring.queue) for ring in self.rings if ring.name == bell.WORK]

    def drain(self, answer: Callable[[Ring], None], *, shuffle: random.Random | None = None, copies: int = 1) -> int:
        """Answer hints until none is left: each `copies` times, in any order if `shuffle` is given. Counts answers."""
        answered = 0
        while self.rings:
            batch = self.rings * copies
            self.rings.clear()
            if shuffle is not None:
                shuffle.shuffle(batch)
            for ring in batch:
                answer(ring)
            answered += len(batch)
        return answered
