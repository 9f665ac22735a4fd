"""Tables in PostgreSQL: read and written by COPY, in pieces, each write one transaction.

A driver in the worker rather than a command: a host has to be resolved, checked and connected to by the address that
was checked, the password goes to nobody else, and cancelling shuts the socket. .importlinter lets this module alone
import it: the database is the one that a config names, never FlowForge's.
"""

import contextlib
import os
import select
import socket
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import psycopg
from psycopg import errors, pq, sql

from flowforge.core.egress import egress
from flowforge.core.failpoints import failpoint
from flowforge.steps.base import Context, CredentialRefused, StepCancelled
from flowforge.steps.data.failures import DataFailure, translated
from flowforge.steps.data.files import too_large
from flowforge.steps.data.kinds import difference
from flowforge.steps.data.places import Column, Place
from flowforge.steps.data.tables import LEDGER, LEDGER_DAYS, Mode

DEFAULT_PORT: Final = 5432
CONNECT_SECONDS: Final = 15.0

_CHUNK: Final = 256 * 1024
_LOOK_SECONDS: Final = 0.2
_CSV: Final = "(FORMAT csv, HEADER false, NULL '')"  # unquoted nothing is null, quoted nothing the empty text
_SESSION: Final = (
    "SET TimeZone = 'UTC'; SET DateStyle = 'ISO, YMD'; SET extra_float_digits = 3; SET lock_timeout = '30s'; "
    "SET idle_in_transaction_session_timeout = '10min'"
)
# PostgreSQL's type (format_type without its modifier) -> DuckDB's; everything else is text
_READ: Final = {
    "smallint": "SMALLINT", "integer": "INTEGER", "bigint": "BIGINT", "real": "FLOAT", "double precision": "DOUBLE",
    "numeric": "DOUBLE", "boolean": "BOOLEAN", "date": "DATE", "time without time zone": "TIME",
    "timestamp without time zone": "TIMESTAMP", "timestamp with time zone": "TIMESTAMPTZ", "uuid": "UUID",
    "json": "JSON", "jsonb": "JSON",
}  # fmt: skip
# and back: DuckDB's type without its parameters -> PostgreSQL's; nested ones are jsonb, everything else text
_WRITTEN: Final = {
    "TINYINT": "smallint", "SMALLINT": "smallint", "UTINYINT": "smallint", "INTEGER": "integer", "USMALLINT": "integer",
    "BIGINT": "bigint", "UINTEGER": "bigint", "HUGEINT": "bigint", "UHUGEINT": "bigint", "UBIGINT": "numeric(20,0)",
    "FLOAT": "real", "DOUBLE": "double precision", "BOOLEAN": "boolean", "DATE": "date", "TIME": "time",
    "TIMESTAMP": "timestamp", "TIMESTAMP_S": "timestamp", "TIMESTAMP_MS": "timestamp", "TIMESTAMP_NS": "timestamp",
    "TIMESTAMP WITH TIME ZONE": "timestamptz", "UUID": "uuid", "JSON": "jsonb", "BLOB": "bytea", "INTERVAL": "interval",
    "STRUCT": "jsonb", "MAP": "jsonb", "UNION": "jsonb",
}  # fmt: skip
_COLUMNS: Final = """
    SELECT a.attname, format_type(a.atttypid, NULL), format_type(a.atttypid, a.atttypmod), t.typcategory,
           a.attnotnull AND NOT a.atthasdef AND a.attidentity = ''
    FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid
    WHERE a.attrelid = to_regclass(%s) AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum"""


@dataclass(frozen=True, kw_only=True, slots=True)
class _Found:
    """A column of a table that exists."""

    name: str
    type: str  # DuckDB's
    is_array: bool
    is_needed: bool  # neither null nor a default will do


def fetch(context: Context, place: Place, into: Path) -> tuple[int, tuple[Column, ...]]:
    """All rows as csv without a header, and their columns. Raises DataFailure, CredentialRefused, StepCancelled."""
    limit, size = context.settings.max_data_bytes, 0
    with _connected(context, place) as connection, connection.transaction(), connection.cursor() as cursor:
        cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
        columns = _columns(cursor, place)
        if not columns:
            raise DataFailure("not_found", f"There is no table {place.location.table!r}.")
        listed = sql.SQL(", ").join(_readable(column) for column in columns)
        copy = sql.SQL("COPY (SELECT {} FROM {}) TO STDOUT " + _CSV).format(listed, _table(place))
        with cursor.copy(copy) as rows, open(into, "xb") as file:
            for piece in rows:
                size += file.write(piece)
                if size > limit:
                    raise too_large(limit)
    return size, tuple(Column(name=column.name, type=column.type) for column in columns)


def write(context: Context, place: Place, source: Path, *, columns: Sequence[Column], mode: Mode, mark: str) -> bool:
    """The rows of `source` (csv as `fetch` gives it) into the table, in one transaction.

    False: an earlier attempt of this step has done it. `target_exists`, `schema_mismatch` and what `fetch` raises.
    """
    with _connected(context, place) as connection:
        if mode != "replace":
            _make_ledger(connection, place)
        with connection.transaction(), connection.cursor() as cursor:
            if mode != "replace" and not _is_first(cursor, place, mark):
                return False
            _make_ready(cursor, place, columns, mode)
            listed = sql.SQL(", ").join(sql.Identifier(column.name) for column in columns)
            copy = sql.SQL("COPY {} ({}) FROM STDIN " + _CSV).format(_table(place), listed)
            with cursor.copy(copy) as rows, open(source, "rb") as file:
                while piece := file.read(_CHUNK):
                    rows.write(piece)
            failpoint("data.before_commit")
    return True


# --- the table ----------------------------------------------------------------------------------------------------


def _make_ready(cursor: psycopg.Cursor[Any], place: Place, columns: Sequence[Column], mode: Mode) -> None:
    found = _columns(cursor, place)
    if not found:
        _create(cursor, place, columns)
        return
    if mode == "error":
        raise DataFailure("target_exists", f"The table {place.location.table!r} exists already.")
    before, after = ({column.name: column.type for column in each} for each in (found, columns))
    needed = [column.name for column in found if column.is_needed]
    unfit = difference(before, after, needed=needed)
    if mode == "append":
        if unfit is not None:
            raise DataFailure("schema_mismatch", unfit.message, details=dict(unfit.details))
        return
    if unfit is None and before.keys() == after.keys():
        # not TRUNCATE: who began to read before must not find it empty (PostgreSQL's manual, 13.6)
        cursor.execute(sql.SQL("DELETE FROM {}").format(_table(place)))
        return
    cursor.execute(sql.SQL("DROP TABLE {}").format(_table(place)))
    _create(cursor, place, columns)


def _create(cursor: psycopg.Cursor[Any], place: Place, columns: Sequence[Column]) -> None:
    listed = sql.SQL(", ").join(
        sql.SQL("{} {}").format(sql.Identifier(column.name), sql.SQL(_written(column.type))) for column in columns
    )
    cursor.execute(sql.SQL("CREATE TABLE {} ({})").format(_table(place), listed))


def _written(kind: str) -> str:
    if kind.endswith("]"):
        return "jsonb"
    if kind.startswith("DECIMAL("):
        return kind.replace("DECIMAL", "numeric")
    return _WRITTEN.get(kind.partition("(")[0], "text")


def _columns(cursor: psycopg.Cursor[Any], place: Place) -> list[_Found]:
    """None where there is no such table."""
    cursor.execute(_COLUMNS, [_table(place).as_string(cursor)])
    return [
        _Found(name=name, type=_read(plain, full, category), is_array=category == "A", is_needed=needed)
        for name, plain, full, category, needed in cursor
    ]


def _read(plain: str, full: str, category: str) -> str:
    if category in ("A", "C"):
        return "JSON"
    if plain == "numeric" and full.startswith("numeric("):
        width, _, scale = full.removeprefix("numeric(").rstrip(")").partition(",")
        if int(width) <= 38 and 0 <= int(scale or 0) <= int(width):
            return f"DECIMAL({width},{scale or 0})"
    return _READ.get(plain, "VARCHAR")


def _readable(column: _Found) -> sql.Composable:
    name = sql.Identifier(column.name)
    return sql.SQL("to_jsonb({})").format(name) if column.type == "JSON" and column.is_array else name


def _table(place: Place) -> sql.Identifier:
    location = place.location
    return sql.Identifier(location.schema, location.table) if location.schema else sql.Identifier(location.table)


def _ledger(place: Place) -> sql.Identifier:
    return sql.Identifier(place.location.schema, LEDGER) if place.location.schema else sql.Identifier(LEDGER)


def _make_ledger(connection: psycopg.Connection[Any], place: Place) -> None:
    """Before the transaction: two that make it at once disturb each other, and neither is wrong."""
    create = "CREATE TABLE IF NOT EXISTS {} (key text PRIMARY KEY, written_at timestamptz NOT NULL DEFAULT now())"
    with contextlib.suppress(errors.UniqueViolation, errors.DuplicateTable):
        connection.execute(sql.SQL(create).format(_ledger(place)))


def _is_first(cursor: psycopg.Cursor[Any], place: Place, mark: str) -> bool:
    """Note in the ledger that this step has written; waits for another attempt that is about to."""
    ledger = _ledger(place)
    old = sql.SQL("DELETE FROM {} WHERE written_at < now() - make_interval(days => {})")
    cursor.execute(old.format(ledger, sql.Literal(LEDGER_DAYS)))
    cursor.execute(sql.SQL("INSERT INTO {} (key) VALUES (%s) ON CONFLICT DO NOTHING").format(ledger), [mark])
    return cursor.rowcount == 1


# --- the connection -----------------------------------------------------------------------------------------------


@contextlib.contextmanager
def _connected(context: Context, place: Place) -> Iterator[psycopg.Connection[Any]]:
    """In autocommit; ended when the step has to stop."""
    with _translated_errors(context):
        connection = psycopg.Connection(_dial(context, _conninfo(context, place)))
        with contextlib.closing(connection), _ended_by(context, connection):
            connection.autocommit = True
            connection.execute(_SESSION)
            yield connection


def _conninfo(context: Context, place: Place) -> bytes:
    """Of checked addresses alone, and of nothing in the server's environment. Raises CredentialRefused."""
    location = place.location
    public = {} if place.credential is None else context.credentials.public(place.credential)
    host = location.host or str(public.get("host") or "")
    port = location.port or int(public.get("port") or DEFAULT_PORT)
    if not host:
        raise DataFailure("invalid_url", "Neither the URL nor the credential names the host of the database.")
    shown = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    data = _credential(context, place, shown)
    with translated(context):
        client = egress(context.settings.allow_private_targets)
        addresses = client.addresses(host, port, CONNECT_SECONDS, context.cancel)
    given = {
        "host": ",".join([host] * len(addresses)),
        "hostaddr": ",".join(addresses),
        "port": str(port),
        "dbname": location.database or str(data.get("database") or ""),
        "user": location.user or str(data.get("username") or ""),
        "password": str(data.get("password") or ""),
        "sslmode": location.sslmode,
    }
    fixed = {
        "passfile": os.devnull,
        "gssencmode": "disable",
        "client_encoding": "UTF8",
        "application_name": "flowforge",
        "keepalives_idle": "10",
        "tcp_user_timeout": "30000",
    }
    return psycopg.conninfo.make_conninfo("", **given, **fixed).encode()


def _credential(context: Context, place: Place, host: str) -> Mapping[str, str | int]:
    if place.credential is None:
        context.credentials.check(host)
        return {}
    credential = context.credential(place.credential, host)
    if credential.type != "database":
        message = f"A database takes credentials of the type database; {place.credential!r} is {credential.type}."
        raise CredentialRefused("credential_type", message)
    if "url" in credential.data and "password" not in credential.data:
        return _of_url(context, str(credential.data["url"]))
    return credential.data


def _of_url(context: Context, url: str) -> dict[str, str]:
    """User, password and database of a credential that is a URL; its host is the step's to name."""
    found = psycopg.conninfo.conninfo_to_dict(url)
    password = str(found.get("password") or "")
    if password:
        context.credentials.conceal(password)
    return {"username": str(found.get("user") or ""), "password": password, "database": str(found.get("dbname") or "")}


def _dial(context: Context, conninfo: bytes) -> pq.abc.PGconn:
    """libpq's own way to connect without blocking (its manual, PQconnectStart), so that a step can be stopped here."""
    made = pq.PGconn.connect_start(conninfo)
    ends_at = time.monotonic() + CONNECT_SECONDS
    while made.status != pq.ConnStatus.BAD:
        state = made.connect_poll()
        if state == pq.PollingStatus.OK:
            made.nonblocking = 1
            return made
        if state == pq.PollingStatus.FAILED:
            break
        reading = state == pq.PollingStatus.READING
        select.select([made.socket] if reading else [], [] if reading else [made.socket], [], _LOOK_SECONDS)
        if context.cancel.is_set:
            made.finish()
            raise StepCancelled(context.cancel.reason)
        if time.monotonic() >= ends_at:
            made.finish()
            raise DataFailure("timeout", f"No connection to the database in {CONNECT_SECONDS:g} s.", retryable=True)
    said = made.error_message.decode("utf-8", "replace").strip()
    made.finish()
    refused = any(word in said for word in ("authentication", "permission", "does not exist", "password"))
    raise DataFailure("permission_denied" if refused else "connection_failed", said[:500], retryable=not refused)


@contextlib.contextmanager
def _ended_by(context: Context, connection: psycopg.Connection[Any]) -> Iterator[None]:
    """A copy of the socket's descriptor is shut when the step has to stop: it stays ours when libpq closes its own."""
    lock = threading.Lock()
    copied: list[socket.socket] = [socket.socket(fileno=os.dup(connection.fileno()))]

    def end() -> None:
        with lock:
            for each in copied:
                with contextlib.suppress(OSError):
                    each.shutdown(socket.SHUT_RDWR)

    context.cancel.on_cancel(end)
    try:
        yield
    finally:
        with lock:
            copied.pop().close()


@contextlib.contextmanager
def _translated_errors(context: Context) -> Iterator[None]:
    try:
        yield
    except psycopg.Error as error:
        if context.cancel.is_set:
            raise StepCancelled(context.cancel.reason) from None
        raise _failure(error) from None


def _failure(error: psycopg.Error) -> DataFailure:
    """The server's message without its detail, which quotes rows."""
    said = (error.diag.message_primary or str(error)).strip()[:500]
    state = error.sqlstate or ""
    if state in ("42P01", "3D000", "3F000"):
        return DataFailure("not_found", said)
    if state == "42501" or state.startswith("28"):
        return DataFailure("permission_denied", said)
    if state == "42P07":
        return DataFailure("target_exists", said)
    if state == "2BP01":
        return DataFailure("target_in_use", said)
    if state.startswith(("22", "23")):
        return DataFailure("invalid_data", f"The table refuses a row: {_without_values(error)}.")
    return DataFailure("database_error", said, retryable=not state.startswith("42"), details={"sqlstate": state})


def _without_values(error: psycopg.Error) -> str:
    """Messages of the classes 22 and 23 quote values."""
    where = (error.diag.context or "").partition(":")[0]
    kind = type(error).__name__
    parts = (kind, error.diag.constraint_name, error.diag.column_name, where)
    return ", ".join(part for part in parts if part)
