"""ci: whom git may call, and what it tells them."""

import base64
import socket
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from flowforge.core.egress import client
from flowforge.steps.base import Completed, Credential, Failed, NoCredentials, Outcome
from flowforge.steps.ci.step import Ci
from tests.support import git_server
from tests.support.git_server import GitServer
from tests.support.steps import Attempt, Tokens

pytestmark = pytest.mark.processes

Config = dict[str, Any]


@pytest.fixture
def attempt(tmp_path: Path) -> Attempt:
    return Attempt(home=tmp_path / "home")


def config(server: GitServer, command: str = "true", **fields: Any) -> Config:
    return {"repo_url": server.url("app"), "command": command, **fields}


def completed(outcome: Outcome) -> Any:
    assert isinstance(outcome, Completed), outcome
    return outcome.output


def failed(outcome: Outcome) -> tuple[str, bool]:
    assert isinstance(outcome, Failed), outcome
    assert outcome.message
    return outcome.code, outcome.retryable


def test_it_works(server: GitServer, attempt: Attempt) -> None:
    commit = server.repository("app").commit({"file": "x"})
    assert completed(attempt.run(Ci(), config(server)))["commit"] == commit
    assert {authorization for _, authorization in server.asked} == {None}


class Proof(NoCredentials):
    """Any credential, for any host; remembers what was to be concealed."""

    in_use = True

    def __init__(self, kind: str, **data: str) -> None:
        self.concealed: list[str] = []
        self._found = Credential(name="key", type=kind, data=data)

    def get(self, name: str, host: str) -> Credential:
        return self._found

    def conceal(self, secret: str) -> None:
        self.concealed.append(secret)


@pytest.mark.parametrize(
    ("proof", "header"),
    [
        (Proof("token", token="canary"), "Basic " + base64.b64encode(b"x-access-token:canary").decode()),
        (Proof("basic", username="u", password="canary"), "Basic " + base64.b64encode(b"u:canary").decode()),
        (Proof("header", name="Authorization", value="Bearer canary"), "Bearer canary"),
    ],
)
def test_a_credential_goes_as_a_header_and_nowhere_else(
    server: GitServer, attempt: Attempt, proof: Proof, header: str
) -> None:
    server.repository("app", {"file": "x"})
    server.require, server.hold = header, threading.Event()
    attempt.credentials = proof
    lines: list[bytes] = []

    def read_command_lines() -> None:
        assert server.hold is not None
        server.arrived.wait(30)
        lines.extend(found for found in map(_read, Path("/proc").glob("[0-9]*/cmdline")) if b"git" in found)
        server.hold.set()

    reader = threading.Thread(target=read_command_lines)
    reader.start()
    output = completed(attempt.run(Ci(), config(server, "env; cat .git/config .git/FETCH_HEAD", credential="key")))
    reader.join()
    secret = header.partition(" ")[2]
    assert {authorization for _, authorization in server.asked} == {header}
    assert any(b"fetch" in line for line in lines)
    for told in (str(output), attempt.text, str(lines)):
        assert secret not in told
        assert "canary" not in told
    assert proof.concealed == [secret]


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""


def test_it_rejects_a_credential_for_another_host(server: GitServer, attempt: Attempt) -> None:
    server.repository("app", {"file": "x"})
    attempt.credentials = Tokens("canary-1")
    url = server.url("app").replace("127.0.0.1", "127.0.0.2")
    assert failed(attempt.run(Ci(), {**config(server, credential="key"), "repo_url": url})) == (
        "credential_host",
        False,
    )
    assert server.asked == []


def test_it_rejects_a_credential_that_cannot_be_a_header(server: GitServer, attempt: Attempt) -> None:
    attempt.credentials = Proof("header", name="X", value="a\r\nY: b")
    assert failed(attempt.run(Ci(), config(server, credential="key"))) == ("credential_type", False)
    attempt.credentials = Proof("aws", access_key_id="a")
    assert failed(attempt.run(Ci(), config(server, credential="key"))) == ("credential_type", False)
    assert server.asked == []


def test_it_is_told_that_it_may_not(server: GitServer, attempt: Attempt) -> None:
    server.repository("app", {"file": "x"})
    server.require = "Basic eDp5"
    assert failed(attempt.run(Ci(), config(server))) == ("authentication_failed", False)


def test_it_rejects_a_private_target(server: GitServer, attempt: Attempt) -> None:
    server.repository("app", {"file": "x"})
    attempt.allow = ()
    assert failed(attempt.run(Ci(), config(server))) == ("target_refused", False)
    assert server.asked == []


def resolving(monkeypatch: pytest.MonkeyPatch, *addresses: str) -> list[str]:
    """Every name has these addresses; gives the names that were asked for."""
    asked: list[str] = []

    def resolve(host: str, _port: int) -> Sequence[str]:
        asked.append(host)
        return addresses

    monkeypatch.setattr(client.Egress.__init__, "__defaults__", (resolve,))
    client._egress.cache_clear()
    return asked


@pytest.fixture
def _own_resolver() -> Iterator[None]:
    """What a test has put in place of the system's resolver goes with it."""
    client._egress.cache_clear()
    yield
    client._egress.cache_clear()


@pytest.mark.usefixtures("_own_resolver")
def test_a_name_is_resolved_once_and_git_bound_to_what_was_checked(
    server: GitServer, attempt: Attempt, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`rebound.test` has no address but the one that was checked: git could not have found it by itself."""
    commit = server.repository("app").commit({"file": "x"})
    asked = resolving(monkeypatch, "127.0.0.1")
    url = server.url("app").replace("127.0.0.1", "rebound.test")
    assert completed(attempt.run(Ci(), {"repo_url": url, "command": "true"}))["commit"] == commit
    assert asked == ["rebound.test"]


@pytest.mark.usefixtures("_own_resolver")
def test_every_address_of_a_name_has_to_pass(
    server: GitServer, attempt: Attempt, monkeypatch: pytest.MonkeyPatch
) -> None:
    attempt.allow = ()
    resolving(monkeypatch, "93.184.215.14", "127.0.0.1")
    outcome = attempt.run(Ci(), {"repo_url": "https://both.test/a", "command": "true"})
    assert failed(outcome) == ("target_refused", False)


@pytest.mark.usefixtures("_own_resolver")
def test_plain_http_is_for_targets_that_the_operator_has_named(
    attempt: Attempt, monkeypatch: pytest.MonkeyPatch
) -> None:
    attempt.allow = ()
    resolving(monkeypatch, "93.184.215.14")
    outcome = attempt.run(Ci(), {"repo_url": "http://public.test/a", "command": "true"})
    assert failed(outcome) == ("target_refused", False)
    assert isinstance(outcome, Failed)
    assert "https alone" in outcome.message


def test_no_redirect_is_followed(server: GitServer, attempt: Attempt, tmp_path: Path) -> None:
    server.repository("app", {"file": "x"})
    (tmp_path / "others").mkdir()
    with git_server.serve(tmp_path / "others") as elsewhere:
        elsewhere.repository("app", {"file": "other"})
        server.redirect = f"http://127.0.0.1:{elsewhere.port}"
        assert failed(attempt.run(Ci(), config(server))) == ("redirected", False)
        assert elsewhere.asked == []


def test_nobody_there_is_worth_another_attempt(attempt: Attempt) -> None:
    with socket.create_server(("127.0.0.1", 0)) as reserved:
        port = reserved.getsockname()[1]
    outcome = attempt.run(Ci(), {"repo_url": f"http://127.0.0.1:{port}/a", "command": "true"})
    assert failed(outcome) == ("clone_failed", True)


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"branch": "gone"}, "ref_not_found"),
        ({"commit": "a" * 40}, "ref_not_found"),
        ({"repo_url": "gone"}, "repository_not_found"),
    ],
)
def test_it_rejects_what_is_not_there(server: GitServer, attempt: Attempt, fields: Config, code: str) -> None:
    server.repository("app", {"file": "x"})
    if "repo_url" in fields:
        fields = {"repo_url": server.url("gone")}
    assert failed(attempt.run(Ci(), {**config(server), **fields})) == (code, False)


@pytest.mark.parametrize("fields", [{"repo_url": "ext::sh -c id"}, {"branch": "--upload-pack=id"}, {"commit": "HEAD"}])
def test_what_expressions_have_made_of_it_is_looked_at_again(
    server: GitServer, attempt: Attempt, fields: Config
) -> None:
    assert failed(attempt.run(Ci(), {**config(server), **fields})) == ("invalid_config", False)
    assert server.asked == []
