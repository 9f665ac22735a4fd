"""ci: a command in a checkout, from a real git server on the loopback."""

import os
import threading
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from flowforge.steps.base import Completed, Failed, Outcome, StepCancelled
from flowforge.steps.ci.step import Ci
from flowforge.steps.levels import Isolation
from tests.support import isolation
from tests.support.git_server import GitServer
from tests.support.service import until
from tests.support.steps import Attempt

pytestmark = pytest.mark.processes

Config = dict[str, Any]


@pytest.fixture
def attempt(tmp_path: Path) -> Attempt:
    return Attempt(home=tmp_path / "home", file_roots=[tmp_path / "files"])


def config(server: GitServer, command: str = "true", **fields: Any) -> Config:
    return {"repo_url": server.url("app"), "command": command, **fields}


def completed(outcome: Outcome) -> Any:
    assert isinstance(outcome, Completed), outcome
    return outcome.output


def failed(outcome: Outcome) -> tuple[str, bool]:
    assert isinstance(outcome, Failed), outcome
    assert outcome.message
    return outcome.code, outcome.retryable


def test_it_works(server: GitServer, attempt: Attempt, tmp_path: Path) -> None:
    commit = server.repository("app").commit({"README": "hello\n", "src/a.txt": "a"})
    command = "cat README >&2\nmkdir dist\ncp src/a.txt dist/b.txt\necho built"
    outcome = attempt.run(Ci(), config(server, command, artifacts=["dist/*.txt"]))
    kept = tmp_path / "files/artifacts/run-1/node-1/dist/b.txt"
    assert outcome == Completed(
        output={
            "commit": commit,
            "exit_code": 0,
            "stdout": "built\n",
            "stderr": "hello\n",
            "artifacts": [
                {
                    "path": "dist/b.txt",
                    "size": 1,
                    "sha256": "ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bb",
                    "url": kept.as_uri(),
                }
            ],
        }
    )
    assert kept.read_text() == "a"
    assert list((attempt.home / "scratch").iterdir()) == []
    assert attempt.lines == [
        ("info", f"checked out {commit} of {server.url('app')}"),
        ("warning", "hello"),
        ("info", "built"),
        ("info", "kept 1 artifacts"),
    ]


def test_it_takes_the_branch_the_tag_or_the_commit_that_is_named(server: GitServer, attempt: Attempt) -> None:
    repository = server.repository("app")
    first = repository.commit({"file": "first"})
    second = repository.commit({"file": "second"})
    other = repository.commit({"file": "other"}, branch="release/1.x")
    repository.git("update-ref", "refs/tags/v1", first)
    found = {
        name: completed(attempt.run(Ci(), config(server, "cat file", **fields)))
        for name, fields in {
            "default": {},
            "branch": {"branch": "release/1.x"},
            "tag": {"branch": "refs/tags/v1"},
            "commit": {"branch": "main", "commit": first},
        }.items()
    }
    assert {name: (output["commit"], output["stdout"]) for name, output in found.items()} == {
        "default": (second, "second"),
        "branch": (other, "other"),
        "tag": (first, "first"),
        "commit": (first, "first"),
    }


def test_the_command_knows_where_it_is(server: GitServer, attempt: Attempt) -> None:
    commit = server.repository("app").commit({"file": "x"})
    script = "echo $CI $GIT_BRANCH $GIT_COMMIT $GIT_URL $ENVIRONMENT\ngit rev-parse HEAD\ngit status --short"
    output = completed(attempt.run(Ci(), config(server, script, branch="main", environment="staging")))
    url = server.url("app")
    assert output["stdout"].splitlines() == [f"true main {commit} {url} staging", commit]


def test_the_environment_is_a_map_or_a_name(server: GitServer, attempt: Attempt) -> None:
    server.repository("app", {"file": "x"})
    output = completed(attempt.run(Ci(), config(server, "echo $A $B", environment={"A": "a b", "B": 3})))
    assert output["stdout"] == "a b 3\n"


def test_the_first_line_that_fails_ends_it(server: GitServer, attempt: Attempt) -> None:
    commit = server.repository("app").commit({"file": "x"})
    script = "echo so far > report\nexit 7\necho never"
    outcome = attempt.run(Ci(), config(server, script, artifacts=["report"]))
    assert isinstance(outcome, Failed)
    assert (outcome.code, outcome.details) == ("exit_code", {"exit_code": 7, "commit": commit})
    assert isinstance(outcome.output, dict)
    assert (outcome.output["exit_code"], outcome.output["stdout"]) == (7, "")
    assert [kept["path"] for kept in outcome.output["artifacts"]] == ["report"]
    assert failed(attempt.run(Ci(), config(server, "false\necho never"))) == ("exit_code", True)
    assert "never" not in attempt.text


def test_another_attempt_replaces_what_the_last_one_kept(server: GitServer, attempt: Attempt, tmp_path: Path) -> None:
    server.repository("app", {"file": "x"})
    completed(attempt.run(Ci(), config(server, "mkdir a; echo 1 > a/old; echo 1 > a/both", artifacts=["a"])))
    completed(attempt.run(Ci(), config(server, "mkdir a; echo 2 > a/both", artifacts=["a"])))
    folder = tmp_path / "files/artifacts/run-1"
    assert [path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()] == ["node-1/a/both"]
    assert (folder / "node-1/a/both").read_text() == "2\n"


# --- where there is nothing to be had -----------------------------------------------------------------------------


def test_without_git_it_says_so(server: GitServer, attempt: Attempt, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    outcome = attempt.run(Ci(), config(server))
    assert failed(outcome) == ("git_missing", False)
    assert server.asked == []


def test_an_old_git_would_not_be_bound_to_an_address(
    server: GitServer, attempt: Attempt, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/git").write_text("#!/bin/sh\necho git version 2.36.1\n")
    (tmp_path / "bin/git").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}")
    assert failed(attempt.run(Ci(), config(server))) == ("git_too_old", False)
    assert server.asked == []


def test_a_project_without_a_network_can_fetch_nothing(server: GitServer, attempt: Attempt) -> None:
    attempt.isolation = Isolation(level="namespaces", network=False)
    assert failed(attempt.run(Ci(), config(server))) == ("no_network", False)


def test_without_a_file_root_nothing_can_be_kept(server: GitServer, attempt: Attempt) -> None:
    server.repository("app", {"file": "x"})
    attempt.file_roots = []
    assert failed(attempt.run(Ci(), config(server, artifacts=["file"]))) == ("artifacts_unavailable", False)


@pytest.mark.parametrize("level", ["namespaces", "bubblewrap"])
def test_it_works_at_every_level(server: GitServer, attempt: Attempt, tmp_path: Path, level: Any) -> None:
    isolation.available(level)
    server.repository("app", {"file": "x"})
    (tmp_path / "files").mkdir()
    attempt.isolation = Isolation(level=level)
    output = completed(attempt.run(Ci(), config(server, "cat file", artifacts=["file"])))
    assert output["stdout"] == "x"
    assert Path(urlsplit(output["artifacts"][0]["url"]).path).read_text() == "x"


# --- when it has to stop ------------------------------------------------------------------------------------------


def test_it_stops_in_the_middle_of_fetching(server: GitServer, attempt: Attempt) -> None:
    server.repository("app", {"file": "x"})
    server.hold = threading.Event()
    stopper = threading.Thread(target=lambda: server.arrived.wait(30) and attempt.cancel.cancel("timeout"))
    stopper.start()
    with pytest.raises(StepCancelled, match="timeout"):
        attempt.run(Ci(), config(server))
    stopper.join()
    assert list((attempt.home / "scratch").iterdir()) == []


def test_it_stops_in_the_middle_of_keeping(server: GitServer, attempt: Attempt, tmp_path: Path) -> None:
    """A file that takes seconds to copy, though it holds no place on the disk by itself."""
    server.repository("app", {"file": "x"})
    folder = tmp_path / "files/artifacts/run-1"

    def stop() -> None:
        until(lambda: list(folder.glob(".*/out")), 30, "a copy has begun")
        attempt.cancel.cancel("cancelled")

    stopper = threading.Thread(target=stop)
    stopper.start()
    with pytest.raises(StepCancelled, match="cancelled"):
        attempt.run(Ci(), config(server, "truncate -s 1900M out", artifacts=["out"]))
    stopper.join()
    assert list((attempt.home / "scratch").iterdir()) == []
    assert list(folder.iterdir()) == []
