"""Repositories on the loopback: bare ones in a folder, made of files, served by git's own http-backend."""

import contextlib
import os
import subprocess
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

# Whoever runs the tests may have any configuration of git: these repositories must not depend on it.
ENVIRONMENT = {
    "PATH": os.environ["PATH"],
    "HOME": "/nonexistent",
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_CONFIG_GLOBAL": os.devnull,
    **{
        f"GIT_{who}_{what}": value
        for who in ("AUTHOR", "COMMITTER")
        for what, value in (("NAME", "t"), ("EMAIL", "t@t.test"))
    },
    "GIT_AUTHOR_DATE": "2026-01-01T12:00:00Z",
    "GIT_COMMITTER_DATE": "2026-01-01T12:00:00Z",
}


class Entry(NamedTuple):
    """One of a tree's: 100644 a file, 100755 a program, 120000 a symbolic link, 160000 a submodule."""

    mode: str
    content: bytes


def link(target: str) -> Entry:
    return Entry("120000", target.encode())


Files = Mapping[str, str | bytes | Entry]


@dataclass
class Repository:
    """A bare repository; `commit(files, branch)` puts a tree of just these files on a branch."""

    path: Path

    def git(self, *arguments: str, stdin: bytes = b"") -> str:
        done = subprocess.run(
            ["git", "--git-dir", self.path, *arguments], input=stdin, capture_output=True, env=ENVIRONMENT, check=True
        )
        return done.stdout.decode().strip()

    def commit(self, files: Files, branch: str = "main") -> str:
        """Its id. The index is written entry by entry, so that no check of git's own stands in the way."""
        index = "".join(f"{entry.mode} {self._object(entry)}\t{name}\n" for name, entry in _entries(files))
        self.git("read-tree", "--empty")
        self.git("update-index", "--add", "--index-info", stdin=index.encode())
        return self.point(branch, self.git("write-tree"))

    def point(self, branch: str, tree: str) -> str:
        """A branch at a commit of this tree; the commit's id."""
        found = self.git("commit-tree", tree, "-m", f"commit on {branch}")
        (self.path / "refs" / "heads" / branch).parent.mkdir(parents=True, exist_ok=True)
        (self.path / "refs" / "heads" / branch).write_text(f"{found}\n")  # git would not make every name
        return found

    def blob(self, content: bytes) -> str:
        return self.git("hash-object", "-w", "--stdin", stdin=content)

    def tree(self, listing: str) -> str:
        """Of `mode type id<TAB>name` lines."""
        return self.git("mktree", "--missing", stdin=listing.encode())

    def _object(self, entry: Entry) -> str:
        return entry.content.decode() if entry.mode == "160000" else self.blob(entry.content)


@dataclass
class GitServer:
    """`server.repository("a", {"README": "hello"})` is at `server.url("a")`."""

    folder: Path
    port: int
    require: str | None = None  # the Authorization that is demanded of every call
    redirect: str | None = None  # where every call is sent instead
    hold: threading.Event | None = None  # no answer before it is set
    asked: list[tuple[str, str | None]] = field(default_factory=list)  # (path, Authorization)
    arrived: threading.Event = field(default_factory=threading.Event)

    def url(self, name: str) -> str:
        return f"http://127.0.0.1:{self.port}/{name}"

    def repository(self, name: str, files: Files | None = None) -> Repository:
        path = self.folder / name
        subprocess.run(
            ["git", "init", "--quiet", "--bare", "--template=", "-b", "main", path], env=ENVIRONMENT, check=True
        )
        found = Repository(path)
        if files is not None:
            found.commit(files)
        return found


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_of_tests: GitServer

    def answer(self) -> None:
        told = self.server_of_tests
        body = self._body()
        told.asked.append((self.path, self.headers.get("Authorization")))
        told.arrived.set()
        self.close_connection = True
        if told.hold is not None:
            told.hold.wait(60)
        with contextlib.suppress(ConnectionError):
            if told.redirect is not None:
                self._say(302, {"Location": told.redirect + self.path}, b"")
            elif told.require is not None and self.headers.get("Authorization") != told.require:
                self._say(401, {"WWW-Authenticate": 'Basic realm="tests"'}, b"")
            else:
                self._pass_on(body)

    do_GET = do_POST = answer

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding") == "chunked":
            found = b""
            while size := int(self.rfile.readline(), 16):
                found += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
            return found
        return self.rfile.read(int(self.headers.get("Content-Length", 0)))

    def _pass_on(self, body: bytes) -> None:
        """To git-http-backend(1), a CGI program (RFC 3875)."""
        address = urlsplit(self.path)
        environment = {
            **ENVIRONMENT,
            "GIT_PROJECT_ROOT": os.fspath(self.server_of_tests.folder),
            "GIT_HTTP_EXPORT_ALL": "1",
            "PATH_INFO": address.path,
            "QUERY_STRING": address.query,
            "REQUEST_METHOD": self.command,
            "CONTENT_TYPE": self.headers.get("Content-Type", ""),
            "CONTENT_LENGTH": str(len(body)),
            "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding", ""),
            "GIT_PROTOCOL": self.headers.get("Git-Protocol", ""),
        }
        done = subprocess.run(["git", "http-backend"], input=body, capture_output=True, env=environment, check=False)
        head, _, content = done.stdout.partition(b"\r\n\r\n")
        headers = dict(line.split(": ", 1) for line in head.decode().split("\r\n") if ": " in line)
        status = int(headers.pop("Status", "200 OK").split()[0])
        self._say(status, headers, content)

    def _say(self, status: int, headers: Mapping[str, str], content: bytes) -> None:
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(content)), "Connection": "close"}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing: pytest shows what a failed test wants to know."""


@contextlib.contextmanager
def serve(folder: Path) -> Iterator[GitServer]:
    """Serve the repositories in `folder` on a free port until the block ends."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("GitHandler", (_Handler,), {}))
    found = GitServer(folder=folder, port=server.server_address[1])
    server.RequestHandlerClass.server_of_tests = found  # type: ignore[attr-defined]  # the class made above
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield found
    finally:
        if found.hold is not None:
            found.hold.set()
        server.shutdown()
        thread.join()
        server.server_close()


def _entries(files: Files) -> Iterator[tuple[str, Entry]]:
    for name, content in files.items():
        if isinstance(content, Entry):
            yield name, content
        else:
            yield name, Entry("100644", content.encode() if isinstance(content, str) else content)
