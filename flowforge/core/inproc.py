"""An in-process broker for the embedded default: kombu's memory transport, woken instead of polled.

kombu's own sleeps `polling_interval` (1 s) between looks at its queues; here a put notifies whoever waits, so an
idle process costs nothing and a message starts within a millisecond.
"""

import threading
import time
from collections import defaultdict
from queue import Empty
from typing import Any

from kombu.transport import memory, virtual

_change = threading.Condition()
_changes = 0
_closing = threading.Event()


def _wake() -> None:
    global _changes  # noqa: PLW0603  one process has one broker
    with _change:
        _changes += 1
        _change.notify_all()


def close() -> None:
    """Let nobody wait any longer: the process is about to end."""
    _closing.set()
    _wake()


class Channel(memory.Channel):
    """Queues are shared by all channels of this process."""

    queues: dict[str, Any] = {}
    events: defaultdict[str, set[Any]] = defaultdict(set)
    do_restore = False

    def _put(self, queue: str, message: Any, **kwargs: Any) -> None:
        super()._put(queue, message, **kwargs)
        _wake()

    def basic_ack(self, delivery_tag: str, multiple: bool = False) -> None:
        super().basic_ack(delivery_tag, multiple)
        _wake()  # a consumer that had its fill (prefetch) may take the next

    def close(self) -> None:
        """Close this channel alone: kombu's own empties the queues of all."""
        virtual.Channel.close(self)


class Transport(virtual.Transport):
    """`inproc://`: lives and dies with this process; the sweep finds again what was lost with it."""

    Channel = Channel
    global_state = virtual.BrokerState()
    driver_type = "memory"
    driver_name = "inproc"
    polling_interval = 0

    implements = memory.Transport.implements
    default_connection_params: dict[str, Any] = {}  # there is no host to connect to

    def driver_version(self) -> str:
        return "1"

    def drain_events(self, connection: Any, timeout: float | None = None, **_: Any) -> None:  # noqa: ARG002  kombu's
        """Deliver one message, or raise TimeoutError after `timeout` seconds without one."""
        deadline = None if timeout is None else time.monotonic() + timeout
        while True:
            seen = _changes
            try:
                self.cycle.get(self._deliver, timeout=0)  # type: ignore[union-attr]  # set when the transport is made
                return
            except Empty:
                pass
            remaining = 1.0 if deadline is None else deadline - time.monotonic()
            if remaining <= 0 or _closing.is_set():
                raise TimeoutError
            with _change:
                if _changes == seen:
                    _change.wait(min(remaining, 1.0))
