"""etl with tables of PostgreSQL: by COPY, in one transaction, at a checked address, and stopped at once."""

import os
import socket
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from flowforge.steps.base import Completed, Failed, StepCancelled
from flowforge.steps.data.transfer import mark
from flowforge.steps.etl.step import Etl
from tests.support import servers
from tests.support.data import Credentials
from tests.support.steps import Attempt

pytestmark = pytest.mark.processes

SECRET = "canary-password"


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    """The URL of a PostgreSQL on the loopback, of this module alone."""
    with tempfile.TemporaryDirectory(prefix="flowforge-etl-") as name:
        os.chmod(name, 0o711)  # a server that runs as another user has to get through
        folder = Path(name) / "postgres"
        folder.mkdir()
        try:
            with servers.postgres(folder, tcp=True) as url:
                yield url
        except servers.CannotStart as error:
            pytest.skip(f"no PostgreSQL here: {error}")


@pytest.fixture
def database(server: str) -> Iterator[psycopg.Connection[Any]]:
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute("DROP SCHEMA public CASCADE; CREATE SCHEMA public; SET TimeZone = 'UTC'")
        yield connection


@pytest.fixture
def attempt(tmp_path: Path) -> Attempt:
    (tmp_path / "files").mkdir()
    (tmp_path / "files/in.csv").write_text("a,b\n1,x\n2,\n")
    known = {"username": "postgres", "password": SECRET, "database": "postgres"}
    return Attempt(home=tmp_path, file_roots=[tmp_path / "files"], credentials=Credentials(db=("database", known)))


def table(server: str, name: str) -> str:
    return f"{server.replace('postgres@', '')}?table={name}"


def config(source: str, target: str, **more: Any) -> dict[str, Any]:
    found = {"source_url": source, "target_url": target, **more}
    for end in ("source", "target"):
        if found[f"{end}_url"].startswith("postgres"):
            found.setdefault(f"{end}_credential", "db")
    return found


def run(attempt: Attempt, source: str, target: str, **more: Any) -> Any:
    outcome = attempt.run(Etl(), config(source, target, **more))
    assert isinstance(outcome, Completed), outcome
    return outcome.output


def fail(attempt: Attempt, source: str, target: str, **more: Any) -> Failed:
    outcome = attempt.run(Etl(), config(source, target, **more))
    assert isinstance(outcome, Failed), outcome
    assert SECRET not in outcome.message + attempt.text
    return outcome


def rows(database: psycopg.Connection[Any], what: str = "t") -> list[tuple[Any, ...]]:
    return database.execute(f"SELECT * FROM {what}").fetchall()  # type: ignore[call-overload]  # a name of ours


def test_it_works(attempt: Attempt, server: str, database: psycopg.Connection[Any]) -> None:
    output = run(attempt, "file://in.csv", table(server, "t"))
    assert rows(database) == [(1, "x"), (2, None)]
    run(attempt, table(server, "t"), "file://out.csv", transformation={"filter": "a > 1"})
    assert (attempt.home / "files/out.csv").read_text() == "a,b\n2,\n"
    assert (output["rows_read"], output["rows_written"]) == (2, 2)


def test_types_there_and_back(attempt: Attempt, server: str, database: psycopg.Connection[Any]) -> None:
    database.execute(
        """CREATE TABLE s AS SELECT 1::smallint AS i2, 2::bigint AS i8, 1.25::numeric(10,2) AS n, 0.1::float8 AS f,
        true AS b, ''::text AS empty, NULL::text AS missing, E'q"u,o\nte'::text AS t, date '2026-01-02' AS d,
        timestamptz '2026-01-02 03:04:05+00' AS z, timestamp '2026-01-02 03:04:05.5' AS ts,
        '{"k": [1, null]}'::jsonb AS j, ARRAY[1, 2] AS list, '0190a000-0000-7000-8000-000000000000'::uuid AS u"""
    )
    output = run(attempt, table(server, "s"), table(server, "t"))
    (before,), (after,) = rows(database, "s"), rows(database, "t")
    assert after == before
    kinds = {column["name"]: column["type"] for column in output["schema"]}
    assert (kinds["i2"], kinds["n"], kinds["z"]) == ("SMALLINT", "DECIMAL(10,2)", "TIMESTAMP WITH TIME ZONE")
    assert (kinds["j"], kinds["list"], kinds["u"]) == ("JSON", "JSON", "UUID")


def test_normalize_opens_jsonb(attempt: Attempt, server: str, database: psycopg.Connection[Any]) -> None:
    database.execute("""CREATE TABLE s AS SELECT '{"a": {"b": 1}}'::jsonb AS j""")
    assert run(attempt, table(server, "s"), "file://out.csv", transformation="normalize")["columns"] == ["j_a_b"]


def test_modes(attempt: Attempt, server: str, database: psycopg.Connection[Any]) -> None:
    target = table(server, "t")
    for key, mode in (("1", "error"), ("1", "error"), ("2", "append"), ("2", "append"), ("3", "append")):
        attempt.idempotency_key = key
        run(attempt, "file://in.csv", target, mode=mode)
    assert len(rows(database)) == 6
    attempt.idempotency_key = "4"
    assert fail(attempt, "file://in.csv", target, mode="error").code == "target_exists"
    database.execute("CREATE INDEX kept ON t (a)")
    run(attempt, "file://in.csv", target, mode="replace")
    assert len(rows(database)) == 2
    assert rows(database, "pg_indexes WHERE indexname = 'kept'")
    run(attempt, "file://in.csv", target, mode="replace", transformation={"select": ["a"]})
    assert rows(database) == [(1,), (2,)]


def test_it_rejects_rows_that_do_not_fit(attempt: Attempt, server: str, database: psycopg.Connection[Any]) -> None:
    database.execute("CREATE TABLE t (id serial, c date, b bigint, needed text NOT NULL)")
    failed = fail(attempt, "file://in.csv", table(server, "t"), mode="append")
    assert failed.details == {"missing": ["needed"], "unexpected": ["a"], "other_type": ["b"]}
    assert failed.code == "schema_mismatch"
    assert rows(database) == []


def test_a_row_that_is_refused_leaves_nothing(attempt: Attempt, server: str, database: psycopg.Connection[Any]) -> None:
    database.execute("CREATE TABLE t (a bigint CHECK (a < 2), b text)")
    failed = fail(attempt, "file://in.csv", table(server, "t"), mode="append")
    assert failed.code == "invalid_data"
    assert rows(database) == []
    assert rows(database, "flowforge_etl") == []
    database.execute("ALTER TABLE t DROP CONSTRAINT t_a_check")
    run(attempt, "file://in.csv", table(server, "t"), mode="append")
    assert rows(database, "flowforge_etl")[0][0] == mark(attempt.context())


def test_a_view_that_hangs_on_it_keeps_a_table(
    attempt: Attempt, server: str, database: psycopg.Connection[Any]
) -> None:
    database.execute("CREATE TABLE t (old int); INSERT INTO t VALUES (1); CREATE VIEW v AS SELECT old FROM t")
    assert fail(attempt, "file://in.csv", table(server, "t")).code == "target_in_use"
    assert rows(database) == [(1,)]


def test_a_schema(attempt: Attempt, server: str, database: psycopg.Connection[Any]) -> None:
    database.execute('CREATE SCHEMA IF NOT EXISTS "raw data"')
    run(attempt, "file://in.csv", table(server, "t") + "&schema=raw%20data", mode="append")
    assert len(rows(database, '"raw data".t')) == 2
    database.execute('DROP SCHEMA "raw data" CASCADE')


@pytest.mark.parametrize(("name", "code"), [("none", "not_found"), ("none.t", "not_found")])
def test_it_rejects_what_is_not_there(attempt: Attempt, server: str, database: Any, name: str, code: str) -> None:
    assert fail(attempt, table(server, name), "file://out.csv").code == code


def test_it_rejects_private_addresses_and_ports_of_systems(attempt: Attempt, server: str) -> None:
    attempt.allow = ()
    assert fail(attempt, table(server, "t"), "file://out.csv").code == "target_refused"
    failed = fail(attempt, "postgres://8.8.8.8:25/d?table=t", "file://out.csv", source_credential=None)
    assert failed.code == "target_refused"


def test_it_rejects_a_database_that_is_not_there(attempt: Attempt, server: str) -> None:
    failed = fail(attempt, table(server, "t").replace("/postgres?", "/none?"), "file://out.csv")
    assert (failed.code, failed.retryable) == ("permission_denied", False)
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    failed = fail(attempt, f"postgres://127.0.0.1:{port}/d?table=t", "file://out.csv")
    assert (failed.code, failed.retryable) == ("connection_failed", True)


def test_nothing_of_the_environment_goes_along(
    attempt: Attempt, server: str, database: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A password of the server's own is not sent to a database that a config names."""
    for name, value in {"PGHOST": "192.0.2.1", "PGPASSWORD": "own", "PGUSER": "own", "PGDATABASE": "own"}.items():
        monkeypatch.setenv(name, value)
    run(attempt, "file://in.csv", table(server, "t"))
    assert len(rows(database)) == 2


def test_cancelling_ends_the_waiting_for_a_lock(
    attempt: Attempt, server: str, database: psycopg.Connection[Any]
) -> None:
    database.execute("CREATE TABLE t (a bigint, b text)")
    with psycopg.connect(server) as other:
        other.execute("LOCK TABLE t")
        attempt.cancel_after("writes")
        started = time.monotonic()
        with pytest.raises(StepCancelled):
            run(attempt, "file://in.csv", table(server, "t"), mode="replace")
        assert time.monotonic() - started < 25  # of the server's lock_timeout of 30
    assert rows(database) == []


def test_cancelling_ends_a_connection_that_nobody_answers(attempt: Attempt) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        threading.Timer(0.5, attempt.cancel.cancel, ["cancelled"]).start()
        with pytest.raises(StepCancelled, match="cancelled"):
            run(attempt, f"postgres://127.0.0.1:{silent.getsockname()[1]}/d?table=t", "file://out.csv")
