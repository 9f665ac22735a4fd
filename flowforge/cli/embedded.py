"""Everything as one process: web server, workers and timers on SQLite, with no other service."""

import fcntl
import json
import os
import secrets
import signal
import threading
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from types import FrameType

from django.conf import settings
from django.core.management import call_command
from django.db import connection, connections
from django.db.migrations.executor import MigrationExecutor

from flowforge.cli.samples import place_samples
from flowforge.cli.web import WebServer
from flowforge.cli.workers import Workers
from flowforge.core import clock
from flowforge.engine import pools
from flowforge.engine.store import maintenance
from flowforge.projects import key_format
from flowforge.projects.services import people
from flowforge.projects.services.bootstrap import Bootstrap, ensure_bootstrap
from flowforge.steps.scratch import clear_scratch
from flowforge.workers.services import record_all_dead
from workflows.services.installing import install_gallery

START_SECONDS = 30.0
STOP_GRACE_SECONDS = 3.0  # a person waits at the other end of Ctrl-C


class StartFailed(Exception):
    """The process cannot serve; the message says why, for people."""


@dataclass(frozen=True, kw_only=True)
class Access:
    """How to get in. Kept in FLOWFORGE_HOME, readable by its owner alone, so that each start can show it again."""

    url: str
    admin_user: str
    admin_password: str
    api_key: str
    project_id: str


class Embedded:
    """`start` returns once requests are served and runs are driven; `stop` ends both."""

    def __init__(self) -> None:
        self._lock = _HomeLock(settings.HOME)
        self._web = WebServer()
        self._workers = Workers(pools.threads(), alone=True)
        self._stop_requested = threading.Event()

    def start(self) -> Access:
        self._lock.acquire()
        self._bind()
        migrate()
        access = ensure_access()
        install_gallery(project_id=access.project_id)
        place_samples(settings.FILE_ROOTS)
        maintenance.expire_all_leases(clock.now())  # the lock says that whoever held one is dead
        record_all_dead(now=clock.now())
        clear_scratch(settings.HOME)
        self._workers.start()
        self._web.start()
        self._wait_for_web()
        return access

    def wait(self) -> None:
        """Until SIGINT or SIGTERM; from then on both are ignored, as the end is near."""
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._on_signal)
        while not self._stop_requested.wait(timeout=1.0):
            if self._web.has_failed:
                raise StartFailed("the web server has ended")

    def stop(self) -> None:
        """End what `start` has started, however far it came."""
        self._web.stop()
        self._workers.stop(STOP_GRACE_SECONDS)
        connections.close_all()
        self._lock.release()

    def leave(self) -> None:
        """After `stop`: ends the process where threads of it can't be ended."""
        self._workers.leave()

    def _on_signal(self, _number: int, _frame: FrameType | None) -> None:
        self._stop_requested.set()

    def _bind(self) -> None:
        try:
            self._web.bind()
        except (OSError, OverflowError) as error:
            raise StartFailed(f"{settings.HOST}:{settings.PORT} cannot be served: {error} (set HOST, PORT)") from None

    def _wait_for_web(self) -> None:
        deadline = time.monotonic() + START_SECONDS
        while not self._web.is_ready:
            if self._web.has_failed or time.monotonic() > deadline:
                raise StartFailed("the web server does not start")
            time.sleep(0.005)


def migrate() -> None:
    """Bring the database up to date; quick if it is."""
    executor = MigrationExecutor(connection)
    if executor.migration_plan(executor.loader.graph.leaf_nodes()):
        call_command("migrate", verbosity=0, interactive=False)


def ensure_access() -> Access:
    """The demo project, its admin and a key that works: those of earlier starts, unless the environment says others.

    Raises StartFailed for a FLOWFORGE_API_KEY that cannot be one.
    """
    path = settings.HOME / "access.json"
    known = json.loads(path.read_text()) if path.exists() else {}
    wanted_password = os.environ.get("FLOWFORGE_ADMIN_PASSWORD")
    password = wanted_password or known.get("admin_password") or secrets.token_urlsafe(12)
    made, api_key = _bootstrap(password, os.environ.get("FLOWFORGE_API_KEY", "").strip(), known.get("api_key"))
    if wanted_password and made.admin_password_if_new is None and not made.admin_user.check_password(wanted_password):
        people.set_password(user=made.admin_user, password=wanted_password)
    access = Access(
        url=f"http://{settings.HOST}:{settings.PORT}",
        admin_user=made.admin_user.get_username(),
        admin_password=password,
        api_key=api_key,
        project_id=str(made.project.pk),
    )
    _write_private(path, json.dumps(asdict(access), indent=1))
    return access


def _bootstrap(password: str, wanted_key: str, known_key: str | None) -> tuple[Bootstrap, str]:
    """An API key that was revoked since the last start is followed by a fresh one; a wanted one has to work."""
    if wanted_key:
        try:
            return ensure_bootstrap(admin_password=password, api_key=wanted_key), wanted_key
        except ValueError as error:
            raise StartFailed(f"FLOWFORGE_API_KEY: {error}") from None
    try:
        key = known_key or key_format.generate()
        return ensure_bootstrap(admin_password=password, api_key=key), key
    except ValueError:
        key = key_format.generate()
        return ensure_bootstrap(admin_password=password, api_key=key), key


def _write_private(path: Path, text: str) -> None:
    temporary = path.with_suffix(".new")
    temporary.unlink(missing_ok=True)
    opener: Callable[[str, int], int] = lambda name, flags: os.open(name, flags, 0o600)  # noqa: E731
    with open(temporary, "x", opener=opener) as file:
        file.write(text)
    temporary.replace(path)


class _HomeLock:
    """One embedded process a FLOWFORGE_HOME: two would each take the other for dead."""

    def __init__(self, home: Path) -> None:
        self._path = home / "lock"
        self._file: int | None = None

    def acquire(self) -> None:
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._file = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise StartFailed(f"another FlowForge runs on {self._path.parent} (set FLOWFORGE_HOME)") from None

    def release(self) -> None:
        if self._file is not None:
            os.close(self._file)
            self._file = None
