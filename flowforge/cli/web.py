"""The web server: uvicorn around flowforge.asgi."""

import threading
from typing import Any

import uvicorn
from django.conf import settings


class WebServer:
    """uvicorn in a thread of this process; the main thread stays free for signals."""

    def __init__(self) -> None:
        self._server = uvicorn.Server(config())
        self._server.install_signal_handlers = lambda: None  # type: ignore[attr-defined]  # the main thread's affair
        self._thread = threading.Thread(target=self._server.run, name="web-server", daemon=True)

    def start(self) -> None:
        self._thread.start()

    @property
    def is_ready(self) -> bool:
        return self._server.started

    @property
    def has_failed(self) -> bool:
        """It could not start (the port is taken), or has ended by itself."""
        return not self._thread.is_alive()

    def stop(self) -> None:
        """Answer what is being asked, then end."""
        self._server.should_exit = True
        self._thread.join(timeout=10)


def config(**more: Any) -> uvicorn.Config:
    """What every way of serving has in common."""
    return uvicorn.Config(
        "flowforge.asgi:application",
        host=settings.HOST,
        port=settings.PORT,
        lifespan="off",
        access_log=False,
        log_config=None,
        server_header=False,
        date_header=True,
        timeout_keep_alive=75,
        timeout_graceful_shutdown=10,
        **more,
    )
