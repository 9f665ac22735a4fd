"""The web server: uvicorn around flowforge.asgi."""

import socket
import threading
from types import FrameType
from typing import Any

import uvicorn
from django.conf import settings

from flowforge.cli.wire import Protocol
from runs import waiting

BACKLOG = 2048


class Server(uvicorn.Server):
    """Answers what is being asked and ends; who waits for a run is told at once how far it is."""

    def finish(self) -> None:
        waiting.close()
        self.should_exit = True

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """SIGINT and SIGTERM, where uvicorn has the main thread: a clean end, not a signal to raise again."""
        waiting.close()
        super().handle_exit(sig, frame)
        self._captured_signals.clear()


class WebServer:
    """uvicorn in a thread of this process; the main thread stays free for signals."""

    def __init__(self) -> None:
        self._server = Server(config())
        self._socket: socket.socket | None = None
        self._thread = threading.Thread(target=self._serve, name="web-server", daemon=True)

    def bind(self) -> None:
        """Take HOST and PORT, which nobody else can have from now on. Raises OSError."""
        family = socket.AF_INET6 if ":" in settings.HOST else socket.AF_INET
        self._socket = socket.create_server((settings.HOST, settings.PORT), family=family, backlog=BACKLOG)

    def start(self) -> None:
        """Answer what comes to the address taken by `bind`."""
        self._thread.start()

    @property
    def is_ready(self) -> bool:
        return self._server.started

    @property
    def has_failed(self) -> bool:
        """It has ended by itself."""
        return not self._thread.is_alive()

    def stop(self) -> None:
        """Answer what is being asked, then end. Also before `start`."""
        self._server.finish()
        if self._thread.is_alive():
            self._thread.join(timeout=10)
        if self._socket is not None:
            self._socket.close()

    def _serve(self) -> None:
        assert self._socket is not None  # noqa: S101  bind() comes first
        self._server.run(sockets=[self._socket])


def config(**more: Any) -> uvicorn.Config:
    """What every way of serving has in common."""
    return uvicorn.Config(
        "flowforge.asgi:application",
        host=settings.HOST,
        port=settings.PORT,
        http=Protocol,
        lifespan="off",
        access_log=False,
        log_config=None,
        server_header=False,
        date_header=True,
        timeout_keep_alive=75,
        timeout_graceful_shutdown=10,
        **more,
    )
