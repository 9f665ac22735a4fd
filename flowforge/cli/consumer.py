"""How a pool's thread takes hints from the broker.

Celery's own loops want the process's main thread and one event hub, or poll: the blocking one sleeps two seconds in
the broker's socket once its prefetched messages fill the pool, though the pool may be free a millisecond later. Here
acknowledgements are made by the thread that owns the connection (py-amqp is not safe between threads), and as long as
a message waits for one the socket is left again within milliseconds.

Hints to drive, most of what comes, are only put down for the drivers. The loop does so by itself: through Celery's
pool each would cost as much processor time as a commit, and hold up the next by those milliseconds.
"""

import logging
import uuid
from datetime import datetime
from typing import Any

from celery.bootsteps import RUN  # type: ignore[attr-defined]  # the stubs leave it out
from celery.worker import state
from celery.worker.consumer import Consumer
from kombu.exceptions import ContentDisallowed, DecodeError

from flowforge.core import bell, clock
from flowforge.engine.drivers import drivers
from flowforge.engine.presence import presence

IDLE_SECONDS = 0.5  # nothing is in hand: a message wakes us at once, the end of the process after so long
BUSY_SECONDS = 0.005  # a message is in hand: its acknowledgement comes from another thread

log = logging.getLogger("flowforge.worker")


class PoolConsumer(Consumer):
    """A consumer for a pool of threads beside other pools of one process."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self.loop = take_hints
        self._in_hand = 0
        super().__init__(*args, **kwargs)

    def begin(self) -> None:
        """A new connection: what was in hand on the old one, the broker gives again."""
        self._in_hand = 0

    def create_task_handler(self, *args: Any, **kwargs: Any) -> Any:
        handle = super().create_task_handler(*args, **kwargs)

        def take(message: Any) -> None:
            if _put_down(message):
                message.ack_log_error(log, self.connection_errors)  # type: ignore[attr-defined]  # as above
                return
            self._in_hand += 1
            handle(message)

        return take

    def call_soon_ack(self, p: Any, *args: Any, **kwargs: Any) -> Any:
        """Called by a pool's thread when a task begins."""

        def acknowledge() -> None:
            self._in_hand = max(0, self._in_hand - 1)
            p(*args, **kwargs)

        self._pending_operations.append(acknowledge)  # type: ignore[attr-defined]  # the stubs leave it out
        return acknowledge

    @property
    def patience_seconds(self) -> float:
        return BUSY_SECONDS if self._in_hand > 0 else IDLE_SECONDS


def _put_down(message: Any) -> bool:
    """Whether it was a hint to drive and the drivers have it; all else, and what they have no room for, is the pool's.

    Of a message with several runs some may be put down twice: that is allowed of hints.
    """
    if message.headers.get("task") != bell.DRIVE:
        return False
    try:
        expires = message.headers.get("expires")
        if expires is not None and datetime.fromisoformat(expires) <= clock.now():
            return False
        run_ids = [uuid.UUID(run_id) for run_id in message.payload[0]]
    except (ContentDisallowed, DecodeError, LookupError, TypeError, ValueError):
        return False
    return all(drivers.hint(run_id) for run_id in run_ids)


def take_hints(obj: PoolConsumer, connection: Any, consumer: Any, blueprint: Any, *_: Any, **__: Any) -> None:
    """Celery's worker loop, until the worker ends or the connection fails (Celery then connects again)."""
    obj.begin()
    consumer.on_message = obj.create_task_handler()
    consumer.consume()
    obj.on_ready()
    queue = consumer.queues[0].name
    while blueprint.state == RUN and obj.connection:
        state.maybe_shutdown()
        obj.perform_pending_operations()
        presence.heard(queue)
        try:
            connection.drain_events(timeout=obj.patience_seconds)
        except TimeoutError:
            continue
        except OSError:
            if blueprint.state == RUN:
                raise
