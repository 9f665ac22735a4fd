"""The user's SQL in an etl step reads `source`, and nothing else: no file, no network, no setting, no variable."""

import json
import os
import socket
from pathlib import Path

import pytest

from flowforge.steps.base import Completed, Failed, Outcome
from flowforge.steps.etl.step import Etl
from tests.support.steps import Attempt

pytestmark = pytest.mark.processes

STATEMENTS = [
    "COPY (SELECT 1) TO 'PATH/evil.csv'",
    "COPY source TO '/dev/stdout'",
    "ATTACH 'PATH/evil.db' AS e",
    "INSTALL httpfs",
    "LOAD httpfs",
    "LOAD 'PATH/evil.so'",
    "PRAGMA database_list",
    "SET enable_external_access = true",
    "RESET lock_configuration",
    "CREATE TABLE t AS SELECT 1",
    "CREATE SECRET s (TYPE s3)",
    "EXPORT DATABASE 'PATH/evil'",
    "CALL pragma_version()",
    "CHECKPOINT",
    "SELECT 1; COPY (SELECT 1) TO 'PATH/evil.csv'",
    "EXPLAIN ANALYZE SELECT 1",
    "INSERT INTO source VALUES (1)",
    "DROP VIEW source",
]
READS = [
    "SELECT * FROM read_csv('PATH/secret.csv')",
    "SELECT * FROM 'PATH/secret.csv'",
    "SELECT * FROM read_text('PATH/secret.csv')",
    "SELECT * FROM read_blob('/proc/self/environ')",
    "SELECT * FROM read_text('/proc/1/cmdline')",
    "SELECT * FROM read_json('PATH/secret.csv')",
    "SELECT * FROM read_parquet('PATH/secret.csv')",
    "SELECT * FROM parquet_metadata('PATH/secret.csv')",
    "SELECT * FROM sniff_csv('PATH/secret.csv')",
    "SELECT * FROM glob('PATH/*')",
    "SELECT * FROM read_csv('scratch/../../secret.csv')",
    "SELECT * FROM read_csv('http://127.0.0.1:PORT/a.csv')",
    "SELECT * FROM 'http://127.0.0.1:PORT/a.csv'",
    "SELECT * FROM read_csv('s3://bucket/a.csv')",
    "SELECT * FROM query('COPY (SELECT 1) TO ''PATH/evil.csv''')",
    "SELECT * FROM read_duckdb('PATH/secret.db')",
    "SELECT getenv('PATH')",
    "SELECT * FROM request",  # variables of the process
    "SELECT * FROM connection",
    "SELECT * FROM paths",
]


@pytest.fixture
def attempt(tmp_path: Path) -> Attempt:
    (tmp_path / "files").mkdir()
    (tmp_path / "files/in.csv").write_text("a\n1\n")
    (tmp_path / "secret.csv").write_text("canary\n1\n")
    return Attempt(home=tmp_path, file_roots=[tmp_path / "files"])


def outcome_of(attempt: Attempt, transformation: object) -> Outcome:
    config = {"source_url": "file://in.csv", "target_url": "file://out.csv", "transformation": transformation}
    return attempt.run(Etl(), config)


def test_it_works(attempt: Attempt) -> None:
    assert isinstance(outcome_of(attempt, {"sql": "SELECT a + 1 AS b FROM source"}), Completed)
    assert (attempt.home / "files/out.csv").read_text() == "b\n2\n"


@pytest.mark.parametrize("sql", STATEMENTS)
def test_it_rejects_whatever_is_no_select(attempt: Attempt, sql: str) -> None:
    outcome = outcome_of(attempt, {"sql": sql.replace("PATH", str(attempt.home))})
    assert isinstance(outcome, Failed)
    assert outcome.code in ("sql_refused", "invalid_sql")
    assert not outcome.retryable
    assert sorted(os.listdir(attempt.home)) == ["files", "scratch", "secret.csv"]


@pytest.mark.parametrize("sql", READS)
def test_it_rejects_other_sources_than_its_own(attempt: Attempt, sql: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.setblocking(False)
        sql = sql.replace("PATH", str(attempt.home)).replace("PORT", str(server.getsockname()[1]))
        outcome = outcome_of(attempt, {"sql": sql})
        with pytest.raises(BlockingIOError):  # nobody has called
            server.accept()
    assert isinstance(outcome, Failed)
    assert outcome.code in ("sql_refused", "invalid_sql")
    assert "canary" not in json.dumps([outcome.message, dict(outcome.details)]) + attempt.text
    assert not (attempt.home / "files/out.csv").exists()


@pytest.mark.parametrize(
    "condition",
    [
        "a IN (SELECT 1 FROM read_csv('PATH/secret.csv'))",
        "true) UNION ALL SELECT 1 FROM read_text('PATH/secret.csv') --",
    ],
)
def test_a_condition_is_held_as_a_select_is(attempt: Attempt, condition: str) -> None:
    outcome = outcome_of(attempt, {"filter": condition.replace("PATH", str(attempt.home))})
    assert isinstance(outcome, Failed)
    assert outcome.code in ("sql_refused", "invalid_sql")


def test_names_of_columns_are_no_sql(attempt: Attempt) -> None:
    name = "a\" FROM read_csv('/etc/passwd') --"
    (attempt.home / "files/in.csv").write_text('"' + name.replace('"', '""') + '"\n1\n')
    steps = [{"rename": {name: "x'\"y"}}, {"cast": {"x'\"y": "text"}}, {"deduplicate": ["x'\"y"]}, "normalize"]
    outcome = outcome_of(attempt, steps)
    assert isinstance(outcome, Completed), outcome
    assert (attempt.home / "files/out.csv").read_text() == '"x\'""y"\n1\n'
