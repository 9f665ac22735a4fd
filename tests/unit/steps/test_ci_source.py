"""What a ci step may be told to fetch: the forms of URLs, refs and commits."""

from typing import Any

import pytest

from flowforge.steps.ci.source import Source, source_of
from flowforge.steps.registry import default_registry

URL = "https://git.example.test/team/repo.git"


def test_it_works() -> None:
    assert source_of({"repo_url": URL}) == Source(url=URL)
    nothing = {"repo_url": URL, "command": "true", "branch": None, "commit": None}  # as expressions give it
    assert default_registry().faults_rendered("ci", nothing) == []
    assert source_of(nothing) == Source(url=URL)
    found = source_of({"repo_url": URL, "branch": "feature/a-1.x", "commit": "a" * 40})
    assert found == Source(url=URL, branch="feature/a-1.x", commit="a" * 40)


@pytest.mark.parametrize(
    ("given", "taken"),
    [
        ("https://git.example.test:8443/a", "https://git.example.test:8443/a"),
        ("HTTPS://Git.Example.Test/A/b%20c", "https://git.example.test/A/b%20c"),
        ("http://127.0.0.1:8000/a.git", "http://127.0.0.1:8000/a.git"),
        ("http://[0:0::1]:8000/a.git", "http://[::1]:8000/a.git"),
        ("https://dev.azure.example/org/_git/repo~x/", "https://dev.azure.example/org/_git/repo~x/"),
    ],
)
def test_a_url_is_taken_in_its_plain_form(given: str, taken: str) -> None:
    assert source_of({"repo_url": given}).url == taken


@pytest.mark.parametrize(
    "url",
    [
        "",
        "repo",
        "/srv/git/repo.git",
        "../repo.git",
        "file:///srv/git/repo.git",
        "file://localhost/srv/git/repo.git",
        "ext::sh -c id",
        "ext::sh%20-c%20id",
        "https::https://host.test/a",
        "https://host.test/a::b",
        "fd::17",
        "git://host.test/repo.git",
        "ssh://git@host.test/repo.git",
        "git@host.test:team/repo.git",
        "ssh://-oProxyCommand=id/repo",
        "-oProxyCommand=id",
        "--upload-pack=touch /tmp/proof",
        "-u touch",
        "ftp://host.test/repo.git",
        "javascript:alert(1)",
        "https://",
        "https://host.test",
        "https://host.test/",
        "https:///repo.git",
        "https://-host.test/repo.git",
        "https://user:secret@host.test/repo.git",
        "https://token@host.test/repo.git",
        "https://host.test/repo.git?service=x",
        "https://host.test/repo.git#x",
        "https://host.test:99999/repo.git",
        "https://host.test:a/repo.git",
        "https://host.test\\@evil.test/repo.git",
        "https://host.test/a b",
        "https://host.test/a\n",
        "https://host.test/a\tb",
        "https://host.test/a%0ahost=evil.test",
        "https://host.test/a%00",
        "https://ho\u200bst.test/a",
        "https://\u2460\u2461\u2466.0.0.1/a",
        "https://2130706433/a",
        "https://0x7f000001/a",
        "https://127.1/a",
        "https://0177.0.0.1/a",
        "https://[::1%25eth0]/a",
        "https://[::1/a",
        "https://host..test/a",
        "https://host.test./a",
        "https://host.test/" + "a" * 2000,
    ],
)
def test_it_rejects_a_url(url: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        source_of({"repo_url": url})


@pytest.mark.parametrize(
    "branch",
    [
        "",
        "-",
        "-x",
        "--upload-pack=touch /tmp/proof",
        "--output=/tmp/x",
        ".hidden",
        "/absolute",
        "a..b",
        "a/../b",
        "a//b",
        "a/.b",
        "a@{1}",
        "@",
        "a b",
        "a\tb",
        "main\n",
        "a~1",
        "a^",
        "a:b",
        "+a",
        "main:refs/heads/x",
        "a*",
        "a?",
        "a[b",
        "a\\b",
        "a.lock",
        "a.lock/b",
        "a/",
        "a.",
        "ä",
        "a;id",
        "$(id)",
        "a" * 202,
    ],
)
def test_it_rejects_a_branch(branch: str) -> None:
    with pytest.raises(ValueError, match="branch is no name"):
        source_of({"repo_url": URL, "branch": branch})


@pytest.mark.parametrize(
    "commit", ["", "HEAD", "abc1234", "A" * 40, "a" * 39, "a" * 41, "a" * 63, "g" * 40, "a" * 40 + "\n", "-" + "a" * 39]
)
def test_it_rejects_a_commit(commit: str) -> None:
    with pytest.raises(ValueError, match="commit is the whole id"):
        source_of({"repo_url": URL, "commit": commit})


@pytest.mark.parametrize(
    ("source", "refspec"),
    [
        (Source(url=URL), "HEAD"),
        (Source(url=URL, branch="main"), "refs/heads/main"),
        (Source(url=URL, branch="refs/tags/v1"), "refs/tags/v1"),
        (Source(url=URL, branch="main", commit="b" * 40), "b" * 40),
    ],
)
def test_what_git_is_asked_for(source: Source, refspec: str) -> None:
    assert source.refspec == refspec


@pytest.mark.parametrize(
    ("config", "pointer", "code"),
    [
        ({"repo_url": "git@host.test:a"}, "/repo_url", "invalid_repo_url"),
        ({"branch": "--upload-pack=id"}, "/branch", "invalid_branch"),
        ({"commit": "HEAD"}, "/commit", "invalid_commit"),
        ({"command": "echo {{ inputs.x }}"}, "/command", "expression_in_command"),
        ({"environment": {"A-B": "x"}}, "/environment", "any_of"),
        ({"artifacts": ["ok", "../x"]}, "/artifacts/1", "invalid_pattern"),
        ({"artifacts": ["/etc/passwd"]}, "/artifacts/0", "invalid_pattern"),
    ],
)
def test_faults_are_named_when_a_workflow_is_saved(config: dict[str, Any], pointer: str, code: str) -> None:
    faults = default_registry().faults("ci", {"repo_url": URL, "command": "true", **config})
    assert [(fault.pointer, fault.code) for fault in faults] == [(pointer, code)]
