"""What systems share while they are measured: a private PostgreSQL (durable) and a private Valkey, when asked for."""

import contextlib
import itertools
import tempfile
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
from psycopg import sql

from tests.support import servers


class Services:
    """Everyone gets a database of its own in the same server."""

    def __init__(self, folder: Path, stack: contextlib.ExitStack) -> None:
        self.folder = folder
        self._stack = stack
        self._numbers = itertools.count()

    @cached_property
    def postgres(self) -> str:
        """URL of the server's own database. Raises servers.CannotStart."""
        return self._stack.enter_context(servers.postgres(self._folder("postgres"), durable=True, tcp=True))

    @cached_property
    def _valkey(self) -> str:
        return self._stack.enter_context(servers.valkey(self._folder("valkey")))

    def database(self, name: str) -> str:
        """URL of an empty database."""
        with psycopg.connect(self.postgres, autocommit=True) as connection:
            connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        return urlsplit(self.postgres)._replace(path=f"/{name}").geturl()

    def broker(self) -> str:
        """URL of a Valkey database that nobody else uses."""
        return urlsplit(self._valkey)._replace(path=f"/{next(self._numbers)}").geturl()

    def _folder(self, name: str) -> Path:
        found = self.folder / name
        found.mkdir()
        return found


@contextlib.contextmanager
def services() -> Iterator[Services]:
    """Data and servers in a temporary folder (TMPDIR says where); both are gone on leaving."""
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="flowforge-bench-")))
        folder.chmod(0o755)  # PostgreSQL may have to run as another user
        yield Services(folder, stack)
