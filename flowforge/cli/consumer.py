"""How a pool's thread takes hints from the broker.

Celery's own loops want the process's main thread and one event hub, or poll: the blocking one sleeps two seconds in
the broker's socket once its prefetched messages fill the pool, though the pool may be free a millisecond later. Here
acknowledgements are made by the thread that owns the connection (py-amqp is not safe between threads), and as long as
a message waits for one the socket is left again within milliseconds.
"""

from typing import Any

from celery.bootsteps import RUN  # type: ignore[attr-defined]  # the stubs leave it out
from celery.worker import state
from celery.worker.consumer import Consumer

from flowforge.engine.presence import presence

IDLE_SECONDS = 0.5  # nothing is in hand: a message wakes us at once, the end of the process after so long
BUSY_SECONDS = 0.005  # a message is in hand: its acknowledgement comes from another thread


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

        def counting(message: Any) -> None:
            self._in_hand += 1
            handle(message)

        return counting

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
