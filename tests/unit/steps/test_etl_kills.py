"""etl: what is killed, at every stage, leaves the old rows or the new ones, and the next attempt makes them the new.

The worker is a process of its own here, which dies by SIGKILL at a failpoint; the step's own child is killed in the
middle of its work.
"""

import json
import os
import signal
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import pytest

from flowforge.steps.base import Failed
from flowforge.steps.etl.step import Etl
from tests.support import servers
from tests.support.data import AWS, Bucket, s3_server
from tests.support.sources import CHECKOUT
from tests.support.steps import Attempt

pytestmark = [pytest.mark.processes, pytest.mark.timeout(300)]

OLD, NEW = ["1"], ["7", "8"]
STAGES = ["data.before_place", "data.after_place"]
WORKER = """
import json, sys
from pathlib import Path
from flowforge.core import failpoints
from flowforge.steps.etl.step import Etl
from tests.support.data import AWS, Assets, Credentials
from tests.support.steps import Attempt
home, stage, config = Path(sys.argv[1]), sys.argv[2], json.loads(sys.argv[3])
attempt = Attempt(
    home=home, file_roots=[home / "files"], assets=Assets(folder=home / "assets"),
    credentials=Credentials(aws=("aws", AWS), db=("database", {"username": "postgres", "password": "unused"})),
)
failpoints.configure(f"{stage}:1:kill9" if stage else "")
print(attempt.run(Etl(), config))
"""


@dataclass(frozen=True, kw_only=True)
class Target:
    """Somewhere with rows in one column, `a`."""

    config: dict[str, Any]
    rows: Callable[[], list[str]]
    stages: list[str]


@pytest.fixture
def home(tmp_path: Path) -> Path:
    for name in ("files", "assets"):
        (tmp_path / name).mkdir()
    (tmp_path / "files/in.csv").write_text("a\n7\n8\n")
    return tmp_path


@pytest.fixture(scope="module")
def bucket() -> Iterator[Bucket]:
    with s3_server() as found:
        yield found


@pytest.fixture(scope="module")
def postgres() -> Iterator[str]:
    with tempfile.TemporaryDirectory(prefix="flowforge-etl-") as name:
        os.chmod(name, 0o711)
        folder = Path(name) / "postgres"
        folder.mkdir()
        try:
            with servers.postgres(folder, tcp=True) as url:
                yield url
        except servers.CannotStart as error:
            pytest.skip(f"no PostgreSQL here: {error}")


def lines(content: str) -> list[str]:
    head, *rows = content.splitlines()
    assert head == "a"
    return rows


def of_files(home: Path, _request: pytest.FixtureRequest) -> Target:
    path = home / "files/out.csv"
    path.unlink(missing_ok=True)  # what is written over keeps its attributes
    path.write_text("a\n1\n")
    return Target(
        config={"target_url": "file://out.csv"},
        rows=lambda: lines(path.read_text()),
        stages=["data.after_fetch", "data.before_rename", *STAGES],
    )


def of_s3(_home: Path, request: pytest.FixtureRequest) -> Target:
    bucket: Bucket = request.getfixturevalue("bucket")
    bucket.write("out.csv", b"a\n1\n")
    config = {
        "target_url": "s3://bucket/out.csv",
        "target_credential": "aws",
        "target_options": {"endpoint": bucket.endpoint},
    }
    return Target(config=config, rows=lambda: lines(bucket.read("out.csv").decode()), stages=STAGES)


def of_assets(home: Path, _request: pytest.FixtureRequest) -> Target:
    path = home / "assets/one"
    path.write_text("a\n1\n")
    return Target(config={"target_url": "asset://one"}, rows=lambda: lines(path.read_text()), stages=STAGES)


def of_sqlite(home: Path, _request: pytest.FixtureRequest) -> Target:
    path = home / "files/shop.db"

    def ask(sql: str) -> list[str]:
        connection = sqlite3.connect(path)
        with connection:
            found = [str(row[0]) for row in connection.execute(sql)]
        connection.close()
        return found

    ask("CREATE TABLE t (a INTEGER)")
    ask("INSERT INTO t VALUES (1)")
    config = {"target_url": "sqlite:///shop.db?table=t"}
    return Target(config=config, rows=lambda: ask("SELECT a FROM t ORDER BY rowid"), stages=STAGES)


def of_postgres(_home: Path, request: pytest.FixtureRequest) -> Target:
    url: str = request.getfixturevalue("postgres")

    def ask(sql: str) -> list[str]:
        with psycopg.connect(url) as connection:
            cursor = connection.execute(sql)  # type: ignore[call-overload]  # texts of ours
            return [str(row[0]) for row in cursor] if cursor.description else []

    ask("DROP TABLE IF EXISTS t, flowforge_etl; CREATE TABLE t (a bigint); INSERT INTO t VALUES (1)")
    config = {"target_url": f"{url.replace('postgres@', '')}?table=t", "target_credential": "db"}
    rows = lambda: ask("SELECT a FROM t ORDER BY a")  # noqa: E731  as its neighbours
    return Target(config=config, rows=rows, stages=["data.before_commit", *STAGES])


TARGETS = {"file": of_files, "s3": of_s3, "asset": of_assets, "sqlite": of_sqlite, "postgres": of_postgres}
AFTER = {  # mode -> rows once a step has done its work
    "replace": NEW,
    "append": [*OLD, *NEW],
}


def work(home: Path, stage: str, config: dict[str, Any]) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", WORKER, str(home), stage, json.dumps({"source_url": "file://in.csv", **config})]
    return subprocess.run(
        command, cwd=CHECKOUT, capture_output=True, text=True, timeout=100, check=False, env={**os.environ}
    )


@pytest.mark.parametrize("mode", ["replace", "append"])
@pytest.mark.parametrize("kind", TARGETS)
def test_a_worker_that_is_killed_leaves_old_or_new(
    kind: str, mode: str, home: Path, request: pytest.FixtureRequest
) -> None:
    if kind == "asset" and mode == "append":
        pytest.skip("an asset is replaced alone")
    for stage in TARGETS[kind](home, request).stages:
        target = TARGETS[kind](_fresh(home), request)
        killed = work(home, stage, {**target.config, "mode": mode})
        assert killed.returncode == -signal.SIGKILL, killed.stdout + killed.stderr
        assert target.rows() == (AFTER[mode] if stage == "data.after_place" else OLD), stage
        done = work(home, "", {**target.config, "mode": mode})
        assert done.stdout.startswith("Completed("), done.stdout + done.stderr
        assert target.rows() == AFTER[mode], stage
        assert [path.name for path in (home / "files").glob(".*.part")] == []


def _fresh(home: Path) -> Path:
    (home / "files/shop.db").unlink(missing_ok=True)
    return home


class Killing(Attempt):
    """Kills what works on the data as soon as its log holds a text."""

    def kill_at(self, text: str) -> None:
        self.fatal = text

    def log(self, level: Any, message: str) -> None:
        super().log(level, message)
        if self.fatal in message:
            for pid in _children_that_run("flowforge.steps"):
                os.kill(pid, signal.SIGKILL)


def _children_that_run(text: str) -> Iterator[int]:
    """Process ids of the python children below this process, by their command lines."""
    family = {os.getpid()}
    for _ in range(4):
        for path in Path("/proc").glob("[0-9]*/stat"):
            try:
                parent = int(path.read_bytes().rpartition(b")")[2].split()[1])
                words = (path.parent / "cmdline").read_bytes().split(b"\0")
            except OSError:
                continue
            if parent in family:
                family.add(int(path.parent.name))
                if text.encode() in b" ".join(words[-3:]) and b"-u" in words:
                    yield int(path.parent.name)


@pytest.mark.parametrize(("target", "text"), [("file://out.csv", "%"), ("sqlite:///shop.db?table=t", "rows written")])
def test_a_child_that_is_killed_leaves_what_was_there(
    target: str, text: str, home: Path, request: pytest.FixtureRequest
) -> None:
    made = (of_sqlite if "sqlite" in target else of_files)(home, request)
    attempt = Killing(home=home, file_roots=[home / "files"])
    attempt.kill_at(text)
    rows = "1000000" if "sqlite" in target else "20000000"
    sql = {"sql": f"SELECT i AS a FROM source, range({rows}) t(i) WHERE hash(i) % 2 >= 0"}
    config = {"source_url": "file://in.csv", "target_url": target, "transformation": sql}
    outcome = attempt.run(Etl(), config)
    assert isinstance(outcome, Failed), outcome
    assert (outcome.code, outcome.retryable) == ("engine_died", True)
    assert made.rows() == OLD
    assert AWS["access_key_id"] not in attempt.text
