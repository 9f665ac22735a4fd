"""etl: places, modes, tables of SQLite, and bounds. PostgreSQL: test_etl_postgres.py."""

import json
import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import pytest

from flowforge.steps.base import StepCancelled
from tests.support.data import AWS, Assets, Bucket, Credentials, s3_server
from tests.support.etl import ROWS, fail, read, run, write
from tests.support.http_stub import HttpStub
from tests.support.steps import Attempt

pytestmark = pytest.mark.processes


@pytest.fixture
def root(tmp_path: Path) -> Path:
    found = tmp_path / "files"
    found.mkdir()
    return found


@pytest.fixture
def attempt(tmp_path: Path, root: Path) -> Attempt:
    return Attempt(home=tmp_path, file_roots=[root], credentials=Credentials(aws=("aws", AWS)))


@pytest.fixture(scope="module")
def bucket() -> Iterator[Bucket]:
    with s3_server() as found:
        yield found


def test_it_works(attempt: Attempt, root: Path) -> None:
    (root / "in.csv").write_text("a\n1\n")
    run(attempt, "file://in.csv", "file://out.csv")
    assert (root / "out.csv").read_text() == "a\n1\n"
    assert sorted(os.listdir(root)) == ["in.csv", "out.csv"]


# --- places and modes ---------------------------------------------------------------------------------------------


def test_replace_append_and_error(attempt: Attempt, root: Path) -> None:
    (root / "in.csv").write_text("b,a\nx,1\n")
    for key, mode in (("1", "replace"), ("2", "append"), ("3", "append")):
        attempt.idempotency_key = key
        assert run(attempt, "file://in.csv", "file://out.csv", mode=mode)["rows_written"] == 1
    assert (root / "out.csv").read_text() == "b,a\nx,1\nx,1\nx,1\n"
    attempt.idempotency_key = "4"
    assert fail(attempt, "file://in.csv", "file://out.csv", mode="error").code == "target_exists"
    assert (root / "out.csv").read_text() == "b,a\nx,1\nx,1\nx,1\n"


@pytest.mark.parametrize("format", ["csv", "json", "ndjson", "parquet"])
def test_appending_keeps_what_was_there(attempt: Attempt, root: Path, format: str) -> None:
    write(root / "in.parquet", "parquet", [{"b": "y", "a": 7}])
    write(root / f"out.{format}", format)
    before = (root / f"out.{format}").read_bytes()
    run(attempt, "file://in.parquet", f"file://out.{format}", mode="append")
    assert read(root / f"out.{format}", format) == [*ROWS, {"a": 7, "b": "y"}]
    if format in ("csv", "ndjson"):
        assert (root / f"out.{format}").read_bytes().startswith(before)


@pytest.mark.parametrize("format", ["csv", "json", "ndjson", "parquet"])
def test_it_rejects_rows_that_do_not_fit_what_is_there(attempt: Attempt, root: Path, format: str) -> None:
    write(root / "in.parquet", "parquet", [{"a": "text", "c": 7}])
    write(root / f"out.{format}", format)
    before = (root / f"out.{format}").read_bytes()
    failed = fail(attempt, "file://in.parquet", f"file://out.{format}", mode="append")
    assert failed.code == "schema_mismatch"
    assert failed.details == {"missing": ["b"], "unexpected": ["c"], "other_type": ["a"]}
    assert (root / f"out.{format}").read_bytes() == before


@pytest.mark.parametrize("mode", ["append", "error"])
def test_a_second_attempt_does_not_do_it_twice(attempt: Attempt, root: Path, mode: str) -> None:
    (root / "in.csv").write_text("a\n1\n")
    run(attempt, "file://in.csv", "file://out.csv", mode=mode)
    attempt.attempt = 2
    assert run(attempt, "file://in.csv", "file://out.csv", mode=mode)["rows_written"] == 1
    assert (root / "out.csv").read_text() == "a\n1\n"
    assert "has written them already" in attempt.text or mode == "error"


def test_a_target_that_somebody_else_has_changed_meanwhile_is_not_replaced(attempt: Attempt, root: Path) -> None:
    (root / "in.csv").write_text("a\n1\n")
    (root / "out.csv").write_text("a\n0\n")

    def disturb(level: str, message: str) -> None:
        if message.startswith("writes"):
            with open(root / "out.csv", "a") as file:
                file.write("5\n")

    attempt.log = disturb  # type: ignore[method-assign]  # what the step does between reading and writing
    failed = fail(attempt, "file://in.csv", "file://out.csv", mode="append")
    assert (failed.code, failed.retryable) == ("target_changed", True)
    assert (root / "out.csv").read_text() == "a\n0\n5\n"


def test_it_rejects_files_outside(attempt: Attempt, root: Path, tmp_path: Path) -> None:
    (tmp_path / "secret.csv").write_text("a\n1\n")
    (root / "in.csv").write_text("a\n1\n")
    (root / "link.csv").symlink_to(tmp_path / "secret.csv")
    for source in ("file:///etc/passwd", f"file://{tmp_path}/secret.csv", "file://../secret.csv", "file://link.csv"):
        assert fail(attempt, source, "file://out.csv", format="csv").code == "file_refused"
    for target in (f"file://{tmp_path}/out.csv", "sqlite:////etc/x.db?table=t", "file://../out.csv"):
        assert fail(attempt, "file://in.csv", target).code == "file_refused"
    assert not (tmp_path / "out.csv").exists()


def test_from_the_web(attempt: Attempt, stub: HttpStub, root: Path) -> None:
    stub.reply(text="a\n1\n", headers={"Content-Type": "text/csv"})
    run(attempt, f"{stub.url}/export?token=canary", "file://out.json")
    assert read(root / "out.json", "json") == [{"a": 1}]
    assert "canary" not in attempt.text
    run(attempt, "file://out.json", f"{stub.url}/in.csv", mode="error")
    assert (stub.asked[-1].method, stub.asked[-1].body) == ("PUT", b"a\n1\n")


def test_s3_to_s3(attempt: Attempt, bucket: Bucket) -> None:
    bucket.write("in.csv", b"a\n1\n")
    config = {
        "source_credential": "aws",
        "target_credential": "aws",
        "source_options": {"endpoint": bucket.endpoint},
        "target_options": {"endpoint": bucket.endpoint},
    }
    for key in ("first", "second", "second"):
        attempt.idempotency_key = key
        run(attempt, "s3://bucket/in.csv", "s3://bucket/out.csv", mode="append", **config)
    assert bucket.read("out.csv") == b"a\n1\n1\n"
    run(attempt, "s3://bucket/in.csv", "s3://bucket/new.csv", mode="error", **config)
    run(attempt, "s3://bucket/in.csv", "s3://bucket/new.csv", mode="error", **config)  # the same step again
    attempt.idempotency_key = "third"
    assert fail(attempt, "s3://bucket/in.csv", "s3://bucket/new.csv", mode="error", **config).code == "target_exists"
    assert AWS["secret_access_key"] not in attempt.text


def test_an_asset_is_replaced(attempt: Attempt, tmp_path: Path) -> None:
    (tmp_path / "assets").mkdir()
    (tmp_path / "assets/one").write_text("a,b\n1,x\n")
    assets = attempt.assets = Assets(folder=tmp_path / "assets")
    run(attempt, "asset://one", "asset://one", transformation={"select": ["b"]}, target_format="json")
    assert read(tmp_path / "assets/one", "json") == [{"b": "x"}]
    assert (assets.replaced, assets.content_type) == (1, "application/json")


# --- SQLite -------------------------------------------------------------------------------------------------------


def query(path: Path, sql: str) -> list[tuple[Any, ...]]:
    with sqlite3.connect(path) as connection:
        found = connection.execute(sql).fetchall()
    connection.close()
    return found


def test_a_table_of_sqlite_comes_and_goes(attempt: Attempt, root: Path) -> None:
    content = [{"i": 1, "r": 1.5, "t": "x", "b": True, "n": None, "j": {"k": [1]}, "d": "2026-01-01"},
               {"i": 2, "r": 2, "t": "", "b": False, "n": None, "j": None, "d": None}]  # fmt: skip
    (root / "in.json").write_text(json.dumps(content))
    run(attempt, "file://in.json", "sqlite:///shop.db?table=all of it")
    assert query(root / "shop.db", 'SELECT * FROM "all of it"') == [
        (1, 1.5, "x", 1, None, '{"k":[1]}', "2026-01-01"),
        (2, 2.0, "", 0, None, None, None),
    ]
    output = run(attempt, f"sqlite:///{root}/shop.db?table=all of it", "file://out.json")
    assert read(root / "out.json", "json") == [
        {"i": 1, "r": 1.5, "t": "x", "b": True, "n": None, "j": '{"k":[1]}', "d": "2026-01-01"}
        | {"d": read(root / "out.json", "json")[0]["d"]},
        {"i": 2, "r": 2.0, "t": "", "b": False, "n": None, "j": None, "d": None},
    ]
    assert output["rows_read"] == 2


def test_modes_of_a_table(attempt: Attempt, root: Path) -> None:
    target = "sqlite:///shop.db?table=t"
    (root / "in.csv").write_text("a,b\n1,x\n")
    for key, mode in (("1", "error"), ("1", "error"), ("2", "append"), ("2", "append"), ("3", "append")):
        attempt.idempotency_key = key
        run(attempt, "file://in.csv", target, mode=mode)
    assert query(root / "shop.db", "SELECT * FROM t") == [(1, "x")] * 3
    attempt.idempotency_key = "4"
    assert fail(attempt, "file://in.csv", target, mode="error").code == "target_exists"
    run(attempt, "file://in.csv", target, mode="replace")
    assert query(root / "shop.db", "SELECT * FROM t") == [(1, "x")]
    run(attempt, "file://in.csv", target, mode="replace", transformation={"select": ["a"]})
    assert query(root / "shop.db", "SELECT * FROM t") == [(1,)]


def test_it_rejects_rows_that_do_not_fit_a_table(attempt: Attempt, root: Path) -> None:
    query(root / "shop.db", "CREATE TABLE t (a INTEGER, b TEXT NOT NULL, id INTEGER PRIMARY KEY, n TEXT)")
    (root / "in.csv").write_text("a,c\nx,1\n")
    failed = fail(attempt, "file://in.csv", "sqlite:///shop.db?table=t", mode="append")
    assert (failed.code, failed.details) == (
        "schema_mismatch",
        {"missing": ["b"], "unexpected": ["c"], "other_type": ["a"]},
    )
    (root / "in.csv").write_text("a,b\n1,x\n")
    run(attempt, "file://in.csv", "sqlite:///shop.db?table=t", mode="append")
    assert query(root / "shop.db", "SELECT a, b, id FROM t") == [(1, "x", 1)]


def test_it_rejects_tables_that_are_not_there(attempt: Attempt, root: Path) -> None:
    assert fail(attempt, "sqlite:///none.db?table=t", "file://out.csv").code == "not_found"
    assert not (root / "none.db").exists()
    query(root / "shop.db", "CREATE TABLE t (a)")
    assert fail(attempt, "sqlite:///shop.db?table=u", "file://out.csv").code == "not_found"
    (root / "text.db").write_text("this is no database, however long it is, and it never will be" * 20)
    assert fail(attempt, "sqlite:///text.db?table=t", "file://out.csv").code == "database_error"


# --- bounds -------------------------------------------------------------------------------------------------------


def test_a_file_larger_than_the_memory_passes(attempt: Attempt, root: Path) -> None:
    attempt.data_memory_bytes = 64 * 1024**2
    sql = (
        "SELECT i AS id, i % 1000 AS customer, md5(i::VARCHAR) AS note, md5((-i)::VARCHAR) AS more "
        "FROM range(4_000_000) t(i)"
    )
    duckdb.execute(f"COPY ({sql}) TO '{root}/in.csv' (HEADER)")
    assert (root / "in.csv").stat().st_size > 300_000_000
    output = run(attempt, "file://in.csv", "file://out.parquet", transformation={"filter": "customer < 500"})
    assert (output["rows_read"], output["rows_written"]) == (4_000_000, 2_000_000)
    assert duckdb.sql(f"SELECT count(*), sum(id) FROM '{root}/out.parquet'").fetchall()[0][0] == 2_000_000


def test_it_rejects_more_than_the_operator_allows(attempt: Attempt, root: Path) -> None:
    (root / "in.csv").write_text("a\n" + "1234567890\n" * 1000)
    attempt.max_data_bytes = 10_000
    assert fail(attempt, "file://in.csv", "file://out.csv").code == "too_large"
    attempt.max_data_bytes = 20_000
    wide = {"sql": "SELECT repeat('x', 1000) AS a FROM source"}
    assert fail(attempt, "file://in.csv", "file://out.csv", transformation=wide).code == "too_large"
    assert not (root / "out.csv").exists()


def test_it_rejects_what_does_not_fit_into_memory(attempt: Attempt, root: Path) -> None:
    attempt.data_memory_bytes = 40 * 1024**2
    (root / "in.csv").write_text("a\n1\n")
    large = {"sql": "SELECT list(repeat('x', 1000) || i) AS a FROM source, range(300000) t(i)"}
    assert fail(attempt, "file://in.csv", "file://out.json", transformation=large).code == "out_of_memory"


@pytest.mark.parametrize("reason", ["cancelled", "timeout", "drain"])
def test_it_stops_when_told_to(attempt: Attempt, root: Path, reason: str) -> None:
    (root / "in.csv").write_text("a\n1\n")
    endless = {"sql": "SELECT count(*) AS n FROM source, range(10000000000000) t(i) WHERE hash(i) = 0"}
    attempt.cancel_after("%", reason)
    with pytest.raises(StepCancelled, match=reason):
        run(attempt, "file://in.csv", "file://out.csv", transformation=endless)
    assert sorted(os.listdir(root)) == ["in.csv"]
    assert list(attempt.home.glob("scratch/*")) == []
