"""A test that was cut short leaves a sound connection to those after it.

pytest-timeout interrupts wherever a test is: in the middle of a statement, too. The connection then waits for an answer
that nobody fetches, and every later test of the process would fail on it, hundreds on a busy machine.
"""

from typing import Any, Final

from django.core.management import call_command
from django.db.backends.base.base import BaseDatabaseWrapper
from psycopg.pq import TransactionStatus

CANCEL_SECONDS: Final = 5.0


def is_broken(connection: BaseDatabaseWrapper) -> bool:
    """Between two tests: is there a statement or a transaction that belongs to none?"""
    if connection.connection is None:
        return False
    info: Any = getattr(connection.connection, "info", None)  # psycopg's; SQLite has none
    return connection.in_atomic_block or (info is not None and info.transaction_status != TransactionStatus.IDLE)


def heal(connection: BaseDatabaseWrapper) -> None:
    """A fresh connection, and empty tables: what was cut short could not tidy up."""
    cancel = getattr(connection.connection, "cancel_safe", None)  # psycopg's: the server need not work on for nobody
    if cancel is not None:
        cancel(timeout=CANCEL_SECONDS)
    connection.in_atomic_block = False
    connection.savepoint_ids, connection.atomic_blocks = [], []
    connection.needs_rollback, connection.run_on_commit = False, []
    connection.close()
    call_command("flush", verbosity=0, interactive=False, reset_sequences=False)
