"""ci: repositories that mean harm, and repositories without measure."""

import json
import os
import re
import stat
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from flowforge.steps.base import Completed, Failed, Outcome
from flowforge.steps.ci import artifacts, checkout, fetcher
from flowforge.steps.ci.artifacts import NotKept
from flowforge.steps.ci.checkout import Caps, NotCheckedOut, check_out
from flowforge.steps.ci.source import Source
from flowforge.steps.ci.step import Ci
from flowforge.steps.scratch import scratch_directory
from tests.support.git_server import Entry, GitServer, Repository, link
from tests.support.steps import Attempt

pytestmark = pytest.mark.processes

LFS_POINTER = f"version https://git-lfs.github.com/spec/v1\noid sha256:{'a' * 64}\nsize 12345\n"


@pytest.fixture
def proof(tmp_path: Path) -> Path:
    """What a repository writes if it gets anything executed."""
    return tmp_path / "proof"


@pytest.fixture
def attempt(tmp_path: Path) -> Attempt:
    return Attempt(home=tmp_path / "home", file_roots=[tmp_path / "files"])


def run(server: GitServer, attempt: Attempt, command: str = "true", **fields: Any) -> Outcome:
    return attempt.run(Ci(), {"repo_url": server.url("app"), "command": command, **fields})


def completed(outcome: Outcome) -> Any:
    assert isinstance(outcome, Completed), outcome
    return outcome.output


def refusal(server: GitServer, attempt: Attempt, **caps: int) -> tuple[str, bool]:
    """Of fetching it within these caps: (code, retryable)."""
    with scratch_directory(attempt.home) as scratch, pytest.raises(NotCheckedOut) as caught:
        check_out(Source(url=server.url("app")), attempt.context(), scratch, folder=scratch / "a", caps=Caps(**caps))
    return caught.value.failed.code, caught.value.failed.retryable


def test_it_works(server: GitServer, attempt: Attempt) -> None:
    server.repository("app", {"a/b": "x", "tool": Entry("100755", b"#!/bin/sh\necho hi\n")})
    assert completed(run(server, attempt, "cat a/b; ./tool"))["stdout"] == "xhi\n"


# --- what would have itself executed ------------------------------------------------------------------------------


def test_hooks_of_the_server_or_in_the_files_do_not_run(server: GitServer, attempt: Attempt, proof: Path) -> None:
    script = Entry("100755", f"#!/bin/sh\ntouch {proof}\n".encode())
    names = ("post-checkout", "pre-checkout", "post-merge", "reference-transaction")
    repository = server.repository(
        "app", {f"{folder}/{name}": script for folder in ("hooks", ".githooks") for name in names}
    )
    (repository.path / "hooks").mkdir(exist_ok=True)
    for name in names:
        (repository.path / "hooks" / name).write_bytes(script.content)
    completed(run(server, attempt, "ls .git; test ! -e .git/hooks"))
    assert not proof.exists()


def test_a_configuration_among_the_files_is_not_read(server: GitServer, attempt: Attempt, proof: Path) -> None:
    """A folder that looks like a bare repository, with a monitor and hooks of its own (safe.bareRepository)."""
    evil = f"[core]\n\tbare = false\n\tworktree = ..\n\tfsmonitor = touch {proof}\n\thooksPath = .\n"
    files = {"HEAD": "ref: refs/heads/main\n", "config": evil, "objects/x": "", "refs/x": "", ".gitconfig": evil}
    server.repository("app", files)
    completed(run(server, attempt))
    assert not proof.exists()


@pytest.mark.parametrize("name", [".git/config", ".GIT/config", "a/.git/hooks/post-checkout", ".git\u200c/config"])
def test_it_rejects_files_that_would_be_gits_own(server: GitServer, attempt: Attempt, proof: Path, name: str) -> None:
    repository = server.repository("app")
    evil = f"[core]\n\tfsmonitor = touch {proof}\n"
    point_at(repository, name.split("/"), repository.blob(evil.encode()))
    outcome = run(server, attempt)
    assert isinstance(outcome, Failed)
    assert (outcome.code, outcome.retryable) == ("repository_refused", False)
    assert not proof.exists()


def point_at(repository: Repository, names: list[str], blob: str) -> None:
    """A branch whose tree holds just this file: git itself would not take such names into an index."""
    kind, mode, found = "blob", "100755", blob
    for name in reversed(names):
        found, kind, mode = repository.tree(f"{mode} {kind} {found}\t{name}\n"), "tree", "040000"
    repository.point("main", found)


def test_filters_and_drivers_of_attributes_do_not_run(server: GitServer, attempt: Attempt, proof: Path) -> None:
    attributes = "*.txt filter=evil diff=evil merge=evil\n*.bin filter=lfs diff=lfs merge=lfs -text\n"
    config = f'[filter "evil"]\n\tsmudge = touch {proof}\n\trequired = true\n'
    files = {".gitattributes": attributes, "a.txt": "as it is", "big.bin": LFS_POINTER, ".gitconfig": config}
    server.repository("app", files)
    assert completed(run(server, attempt, "cat a.txt big.bin"))["stdout"] == f"as it is{LFS_POINTER}"
    assert not proof.exists()


def test_submodules_are_not_fetched(server: GitServer, attempt: Attempt, proof: Path) -> None:
    server.repository("other", {"file": "x"})
    modules = f'[submodule "a"]\n\tpath = a\n\turl = {server.url("other")}\n\tupdate = !touch {proof}\n'
    good = modules.replace(f"\tupdate = !touch {proof}\n", "")
    server.repository("app", {".gitmodules": good, "a": Entry("160000", b"a" * 40), "file": "x"})
    assert completed(run(server, attempt, "ls -A a"))["stdout"] == ""
    assert all(path.startswith("/app/") for path, _ in server.asked)
    server.repository("worse").commit({".gitmodules": modules, "a": Entry("160000", b"a" * 40)})
    outcome = run(server, attempt, repo_url=server.url("worse"))
    assert isinstance(outcome, Failed)
    assert outcome.code == "repository_refused"
    assert not proof.exists()


def test_a_branch_that_is_an_option_is_none(server: GitServer, attempt: Attempt, proof: Path) -> None:
    repository = server.repository("app", {"file": "x"})
    name = f"--upload-pack=touch {proof.name}"
    repository.commit({"file": "y"}, branch=name)
    outcome = run(server, attempt, branch=name)
    assert isinstance(outcome, Failed)
    assert outcome.code == "invalid_config"
    assert server.asked == []


@pytest.mark.parametrize("form", ["{path}", "file://{path}", "ext::git %s {path}", "git://127.0.0.1/{path}"])
def test_no_other_protocol_is_spoken_whatever_came_through(server: GitServer, tmp_path: Path, form: str) -> None:
    """The last of the walls: the URL is one that would not be taken in the first place."""
    path = server.repository("app", {"file": "x"}).path
    told = {"url": form.format(path=path), "refspec": "HEAD", "folder": str(tmp_path / "a"), "seconds": 20}
    told |= {"commit": None, "header": None, "pin": None, "pack_bytes": 10**6, "max_files": 9, "max_bytes": 10**6}
    read, write = os.pipe()
    done = subprocess.run(
        [sys.executable, "-I", "-S", fetcher.__file__],
        input=json.dumps(told).encode(),
        env={"PATH": os.environ["PATH"], "FLOWFORGE_RESULT_FD": str(write)},
        pass_fds=[write],
        capture_output=True,
        check=True,
    )
    os.close(write)
    with os.fdopen(read) as result:
        assert json.load(result)["code"] == "git"
    assert re.search(rb"transport '.*' not allowed", done.stderr)
    assert not (tmp_path / "a" / "file").exists()


# --- links --------------------------------------------------------------------------------------------------------


def test_links_come_as_the_text_that_they_hold(server: GitServer, attempt: Attempt, tmp_path: Path) -> None:
    server.repository("app", {"passwd": link("/etc/passwd"), "up": link("../.."), "here": link("file"), "file": "x"})
    output = completed(run(server, attempt, "cat passwd; git status --short", artifacts=["passwd", "here"]))
    assert output["stdout"] == "/etc/passwd"
    kept = tmp_path / "files/artifacts/run-1/node-1"
    assert {path.name: path.read_text() for path in kept.iterdir()} == {"passwd": "/etc/passwd", "here": "file"}


def test_a_link_with_files_beneath_it_leads_nowhere(server: GitServer, attempt: Attempt, tmp_path: Path) -> None:
    """A link `a` and a file `a/x` in one tree, or in one that differs in case alone: no file lands outside."""
    outside = tmp_path / "outside"
    outside.mkdir()
    repository = server.repository("app")
    inner = repository.tree(f"100644 blob {repository.blob(b'x')}\tx\n")
    target = repository.blob(str(outside).encode())
    repository.point("main", repository.tree(f"120000 blob {target}\ta\n040000 tree {inner}\ta\n"))
    run(server, attempt)
    repository.point("main", repository.tree(f"120000 blob {target}\ta\n040000 tree {inner}\tA\n"))
    run(server, attempt)
    assert list(outside.iterdir()) == []


def test_what_a_command_makes_is_kept_only_if_it_is_a_file(server: GitServer, attempt: Attempt, tmp_path: Path) -> None:
    server.repository("app", {"file": "x"})
    script = """
    mkdir out out/sub
    ln -s /etc/passwd out/link
    ln -s /etc out/folder
    ln -s ../file out/inside
    mkfifo out/pipe
    echo 1 > out/sub/good
    echo 1 > "out/$(printf 'bad\\033name')"
    python3 -c 'import socket; socket.socket(socket.AF_UNIX).bind("out/socket")'
    ln -s ../../.. .git/artifacts
    """
    output = completed(run(server, attempt, script, artifacts=["out", ".git/**", "nothing/*.xml"]))
    assert [kept["path"] for kept in output["artifacts"]] == ["out/sub/good"]
    folder = tmp_path / "files/artifacts/run-1/node-1"
    assert [stat.S_ISREG(path.lstat().st_mode) for path in folder.rglob("*") if not path.is_dir()] == [True]
    for name, reason in {"link": "a symbolic link", "folder": "a symbolic link", "pipe": "no plain file"}.items():
        assert f"artifact left out: out/{name}: {reason}" in attempt.text
    assert "no artifact matches 'nothing/*.xml'" in attempt.text


def test_it_rejects_a_folder_of_artifacts_that_leads_elsewhere(
    server: GitServer, attempt: Attempt, tmp_path: Path
) -> None:
    server.repository("app", {"file": "x"})
    (tmp_path / "files").mkdir()
    (tmp_path / "outside").mkdir()
    (tmp_path / "files/artifacts").symlink_to(tmp_path / "outside")
    outcome = run(server, attempt, artifacts=["file"])
    assert isinstance(outcome, Failed)
    assert outcome.code == "artifacts_unavailable"
    assert list((tmp_path / "outside").rglob("file")) == []


# --- without measure ----------------------------------------------------------------------------------------------


def test_it_rejects_a_pack_over_the_cap(server: GitServer, attempt: Attempt) -> None:
    noise = bytes(byte for number in range(40_000) for byte in (number * 2654435761 & 0xFFFFFFFF).to_bytes(4, "big"))
    server.repository("app", {"noise": noise})
    assert refusal(server, attempt, pack_bytes=50_000) == ("repository_too_large", False)


def test_it_rejects_files_over_the_cap_before_it_writes_them(server: GitServer, attempt: Attempt) -> None:
    """Zeros: next to nothing on the wire."""
    server.repository("app", {"zeros": bytes(2_000_000), "more": bytes(2_000_001)})
    assert refusal(server, attempt, max_bytes=4_000_000) == ("repository_too_large", False)
    assert completed(run(server, attempt, "wc -c < zeros"))["stdout"].strip() == "2000000"


def test_it_rejects_more_files_than_the_cap(server: GitServer, attempt: Attempt) -> None:
    """Ten folders of ten folders of …, each the same few objects: ten thousand million files."""
    repository = server.repository("app")
    kind, mode, found = "blob", "100644", repository.blob(b"x")
    for _ in range(10):
        listing = "".join(f"{mode} {kind} {found}\t{name}\n" for name in range(10))
        found, kind, mode = repository.tree(listing), "tree", "040000"
    repository.point("main", found)
    assert refusal(server, attempt, max_files=10_000, seconds=20) == ("repository_too_large", False)


def test_it_rejects_folders_without_a_file_too(server: GitServer, attempt: Attempt) -> None:
    repository = server.repository("app")
    found = repository.tree("")
    for _ in range(10):
        found = repository.tree("".join(f"040000 tree {found}\t{name}\n" for name in range(10)))
    repository.point("main", found)
    assert refusal(server, attempt, max_files=10_000, seconds=20) == ("repository_too_large", False)


def test_fetching_has_a_time_of_its_own(server: GitServer, attempt: Attempt) -> None:
    server.repository("app", {"file": "x"})
    server.hold = threading.Event()
    assert refusal(server, attempt, seconds=1) == ("clone_timeout", True)


@pytest.mark.parametrize(
    ("caps", "script"),
    [
        ({"max_files": 3}, "for n in 1 2 3 4; do echo > out/$n; done"),
        ({"max_bytes": 1000}, "head -c 600 /dev/zero > out/a; head -c 401 /dev/zero > out/b"),
    ],
)
def test_it_rejects_artifacts_over_the_cap(attempt: Attempt, tmp_path: Path, caps: dict[str, int], script: str) -> None:
    folder = tmp_path / "checkout"
    (folder / "out").mkdir(parents=True)
    subprocess.run(["sh", "-c", script], cwd=folder, check=True)
    with scratch_directory(attempt.home) as scratch, pytest.raises(NotKept, match="more than") as caught:
        artifacts.keep(["out"], attempt.context(), scratch, folder=folder, caps=artifacts.Caps(**caps))
    assert caught.value.failed.code == "artifacts_too_large"
    assert list((tmp_path / "files/artifacts/run-1").iterdir()) == []


def test_the_caps_stand() -> None:
    """A change of these is a change of what an operator's disk has to hold."""
    assert (checkout.CAPS.pack_bytes, checkout.CAPS.max_bytes) == (2**30, 2**32)
    assert (artifacts.CAPS.max_files, artifacts.CAPS.max_bytes) == (500, 2**31)
