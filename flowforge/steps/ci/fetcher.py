"""Fetches a commit and writes its files: `python -I -S fetcher.py`, within the isolation of the step.

Standard input carries the request: `{"url", "refspec", "commit", "folder", "header", "pin", "seconds", "pack_bytes",
"max_files", "max_bytes"}`; the answer goes as JSON to the file descriptor FLOWFORGE_RESULT_FD: `{"commit"}`, or
`{"code", "message"}` with one of `git_missing, git_too_old, repository_too_large, clone_timeout, commit_mismatch, git`.
What git says goes to standard error. Standard library only.

The repository is hostile: nothing of it is executed, and nothing of the machine's own configuration is read.
"""

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from typing import Any, Final

OLDEST_GIT: Final = (2, 37)  # the first with http.curloptResolve: an older one would resolve the name anew
_CHUNK: Final = 65_536

_CONFIG: Final = (
    *("core.hooksPath=/dev/null", "core.fsmonitor=false", "core.symlinks=false", "core.askPass=", "credential.helper="),
    *("core.protectHFS=true", "core.protectNTFS=true", "core.autocrlf=false", "safe.bareRepository=explicit"),
    *("protocol.version=2", "protocol.file.allow=never", "protocol.ext.allow=never", "transfer.fsckObjects=true"),
    *("transfer.bundleURI=false", "submodule.recurse=false", "fetch.recurseSubmodules=false"),
    "fetch.unpackLimit=1",  # one pack, whatever comes: so that the limit of a file's size is one of the repository
    *("http.followRedirects=false", "http.proxy=", "http.lowSpeedLimit=1", "http.lowSpeedTime=60"),
    *("gc.auto=0", "maintenance.auto=false", "advice.detachedHead=false", "init.defaultBranch=main"),
)
_ENVIRONMENT: Final = {
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_CONFIG_GLOBAL": "/dev/null",
    "GIT_ATTR_NOSYSTEM": "1",
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_ASKPASS": "/bin/false",
    "GIT_LFS_SKIP_SMUDGE": "1",
    "GIT_PROTOCOL_FROM_USER": "0",
}


class Stopped(Exception):
    """There will be no checkout: (code, message)."""


class Repository:
    """One that is being fetched."""

    def __init__(self, request: dict[str, Any]) -> None:
        self._request = request
        self._folder = request["folder"]
        protocol = "http" if request["url"].startswith("http://") else "https"
        kept = {name: os.environ[name] for name in ("PATH", "HOME", "TMPDIR", "LANG") if name in os.environ}
        self._environment = {**kept, **_ENVIRONMENT, "GIT_ALLOW_PROTOCOL": protocol}

    def check_out(self) -> str:
        """The id of the commit whose files are in the folder. Raises Stopped."""
        request = self._request
        self._check_version()
        format_ = ["--object-format=sha256"] if len(request["commit"] or "") == 64 else []
        self._git("init", "--quiet", "--template=", *format_, "--", self._folder)
        try:
            self._fetch()
        except Stopped:
            self._check_pack()
            raise
        commit = self._read("-C", self._folder, "rev-parse", "--verify", "--end-of-options", "FETCH_HEAD^{commit}")
        if request["commit"] not in (None, commit):
            raise Stopped("commit_mismatch", f"the repository gave {commit} for {request['commit']}")
        self._measure(commit)
        self._git("-C", self._folder, "config", "core.symlinks", "false")  # lest the command's git sees links changed
        self._git("-C", self._folder, "checkout", "--quiet", "--detach", "--no-recurse-submodules", commit)
        return commit

    def _check_version(self) -> None:
        said = self._read("version")
        found = re.search(r"(\d+)\.(\d+)", said)
        if found is None or (int(found[1]), int(found[2])) < OLDEST_GIT:
            raise Stopped("git_too_old", f"git {OLDEST_GIT[0]}.{OLDEST_GIT[1]} or newer is needed; here is {said!r}")

    def _fetch(self) -> None:
        """The secret and the addresses go by the environment of this one program: a command line is read by all."""
        wanted = {"http.extraHeader": self._request["header"], "http.curloptResolve": self._request["pin"]}
        given = [(name, value) for name, value in wanted.items() if value]
        self._git(
            *("-C", self._folder, "fetch", "--quiet", "--depth=1", "--no-tags", "--no-recurse-submodules"),
            *("--no-auto-maintenance", "--end-of-options", self._request["url"], self._request["refspec"]),
            GIT_CONFIG_COUNT=str(len(given)),
            **{f"GIT_CONFIG_KEY_{place}": name for place, (name, _) in enumerate(given)},
            **{f"GIT_CONFIG_VALUE_{place}": value for place, (_, value) in enumerate(given)},
        )

    def _check_pack(self) -> None:
        """Git says nothing of the signal that the limit of a file's size sends (SIGXFSZ): what it has left does."""
        limit = self._request["pack_bytes"]
        with os.scandir(os.path.join(self._folder, ".git", "objects", "pack")) as entries:
            if any(entry.stat(follow_symlinks=False).st_size >= limit for entry in entries):
                raise Stopped("repository_too_large", f"it has more than {limit} bytes as it is sent") from None

    def _measure(self, commit: str) -> None:
        """Before anything is written: a small pack may hold many files, folders in folders, or zeros without end."""
        size = 0
        for files, entry in enumerate(self._entries(commit), start=1):
            blob = entry.split(b"\t", 1)[0].split()[-1]  # mode, type, id, size (`-`: no blob)
            size += int(blob) if blob.isdigit() else 0
            if files > self._request["max_files"]:
                raise Stopped("repository_too_large", f"it has more than {self._request['max_files']} files")
            if size > self._request["max_bytes"]:
                raise Stopped("repository_too_large", f"its files have more than {self._request['max_bytes']} bytes")

    def _entries(self, commit: str) -> Iterator[bytes]:
        """Folders too: a tree of trees without a single file takes for ever to walk."""
        command = self._command("-C", self._folder, "ls-tree", "-r", "-t", "-l", "-z", "--full-tree", commit)
        with subprocess.Popen(  # noqa: S603  git, and arguments of our own
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, env=self._environment
        ) as git:
            try:
                yield from _records(git.stdout)
            finally:
                git.kill()
                git.wait()

    def _git(self, *arguments: str, **environment: str) -> None:
        self._run(arguments, sys.stderr.fileno(), environment)

    def _read(self, *arguments: str) -> str:
        return self._run(arguments, subprocess.PIPE, {}).decode(errors="replace").strip()

    def _run(self, arguments: Sequence[str], stdout: int, environment: dict[str, str]) -> bytes:
        done = subprocess.run(  # noqa: S603  git, and arguments that were checked
            self._command(*arguments),
            check=False,
            stdin=subprocess.DEVNULL,
            stdout=stdout,
            env={**self._environment, **environment},
        )
        if done.returncode != 0:
            raise Stopped("git", f"git ended with exit code {done.returncode}")
        return done.stdout or b""

    def _command(self, *arguments: str) -> list[str]:
        return ["git", *(word for setting in _CONFIG for word in ("-c", setting)), *arguments]


def _records(stream: Any) -> Iterator[bytes]:
    rest = b""
    while chunk := stream.read(_CHUNK):
        *complete, rest = (rest + chunk).split(b"\0")
        yield from complete


def _time_is_up(*_: object) -> None:
    raise Stopped("clone_timeout", "the repository was not fetched in time")


def answer_to(request: dict[str, Any]) -> dict[str, str]:
    """`{"commit"}` or `{"code", "message"}`."""
    signal.signal(signal.SIGALRM, _time_is_up)
    signal.alarm(request["seconds"])
    try:
        return {"commit": Repository(request).check_out()}
    except Stopped as stopped:
        code, message = stopped.args
        return {"code": code, "message": message}
    except FileNotFoundError:
        return {"code": "git_missing", "message": "there is no git where steps can see it"}
    finally:
        signal.alarm(0)


def main() -> None:
    result_fd = int(os.environ.pop("FLOWFORGE_RESULT_FD"))
    os.set_inheritable(result_fd, False)
    answer = answer_to(json.load(sys.stdin))
    with os.fdopen(result_fd, "w") as result:
        json.dump(answer, result)


if __name__ == "__main__":
    main()
