"""SQLite has one writer at a time, and whoever finds it busy sleeps 1, 2, 5 … 100 ms before it looks again.

Between processes that is how it is; between the threads of one process it wastes most of the time. Here a thread takes
a lock of this process before its write transaction (BEGIN IMMEDIATE) or its single write statement, and is woken the
moment that it may go.
"""

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from typing import Any

from django.db.backends.sqlite3 import base
from django.db.utils import OperationalError

_writer = threading.Lock()
_WRITES = ("INSERT", "UPDATE", "DELETE", "REPLACE")


class Cursor(base.SQLiteCursorWrapper):
    """A single write statement outside of a transaction is one of its own."""

    wrapper: "DatabaseWrapper"

    def convert_query(self, query: str, *, param_names: Sequence[str] | None = None) -> str:
        """`%s` to `?`: a regular expression over the whole text, for texts that are mostly the same ones."""
        if param_names is None:
            return _with_question_marks(query)
        found: str = super().convert_query(query, param_names=param_names)
        return found

    def execute(self, query: str, params: Any = None) -> Any:
        with self.wrapper.in_line_for(query):
            return super().execute(query, params)

    def executemany(self, query: str, param_list: Any) -> Any:
        with self.wrapper.in_line_for(query):
            return super().executemany(query, param_list)


@lru_cache(maxsize=1024)
def _with_question_marks(query: str) -> str:
    return base.FORMAT_QMARK_REGEX.sub("?", query).replace("%%", "%")


class DatabaseWrapper(base.DatabaseWrapper):
    """Holds the process's write lock from BEGIN to the end of the transaction."""

    _is_writing = False

    def create_cursor(self, name: str | None = None) -> Cursor:  # noqa: ARG002  Django's signature
        cursor: Cursor = self.connection.cursor(factory=Cursor)
        cursor.wrapper = self
        return cursor

    @contextmanager
    def in_line_for(self, query: str) -> Iterator[None]:
        """Hold the lock for one statement, if it writes and no transaction holds it already."""
        alone = not self._is_writing and self.get_autocommit() and query.lstrip()[:7].upper().startswith(_WRITES)
        if not alone:
            yield
            return
        self._take()
        try:
            yield
        finally:
            self._release()

    def _start_transaction_under_autocommit(self) -> None:
        self._take()
        try:
            super()._start_transaction_under_autocommit()  # type: ignore[misc]  # the stubs leave it out
        except BaseException:
            self._release()
            raise

    def _commit(self) -> None:
        try:
            super()._commit()  # type: ignore[misc]  # the stubs leave it out
        finally:
            self._release_if_over()

    def _rollback(self) -> None:
        try:
            super()._rollback()  # type: ignore[misc]  # the stubs leave it out
        finally:
            self._release_if_over()

    def _close(self) -> None:
        try:
            super()._close()  # type: ignore[misc]  # the stubs leave it out
        finally:
            self._release()

    def _take(self) -> None:
        if not _writer.acquire(timeout=self.settings_dict["OPTIONS"].get("timeout", 20)):
            raise OperationalError("database is locked: this process has been writing for too long")
        self._is_writing = True

    def _release_if_over(self) -> None:
        """A commit that failed has not ended its transaction."""
        if self.connection is None or not self.connection.in_transaction:
            self._release()

    def _release(self) -> None:
        if self._is_writing:
            self._is_writing = False
            _writer.release()
