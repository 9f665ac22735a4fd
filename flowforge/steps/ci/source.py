"""What a `ci` step may be told to fetch: the forms of a repository's URL, a ref and a commit.

Git reads URLs and refs as commands in disguise: `ext::sh -c …` runs a program, `--upload-pack=…` is an option, a path
is another user's folder. So what is taken is written down, and all else refused.
"""

import ipaddress
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit

MAX_URL_LENGTH: Final = 2000

_URL: Final = re.compile(r"[A-Za-z0-9:/?#\[\]@!$&'()*+,;=._~%-]+")  # RFC 3986, section 2
_LABEL: Final = r"[A-Za-z0-9](?:[A-Za-z0-9_-]*[A-Za-z0-9])?"
_HOST: Final = re.compile(rf"{_LABEL}(?:\.{_LABEL})*")
_ADDRESS: Final = re.compile(r"\[[0-9A-Fa-f:.]*\]")  # of version 6
_HIDDEN_CONTROL: Final = re.compile(r"%(?:[01][0-9A-Fa-f]|7[Ff])")
_REF: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/-]{0,200}")
_COMMIT: Final = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_NO_REF: Final = ("..", "//", "/.", ".lock/", "./")  # of what is made of the right characters: git-check-ref-format(1)


@dataclass(frozen=True, kw_only=True, slots=True)
class Source:
    """What is to be fetched."""

    url: str
    branch: str | None = None  # None: what the repository's HEAD names
    commit: str | None = None  # None: the newest of the branch

    @property
    def refspec(self) -> str:
        """What `git fetch` is asked for."""
        if self.commit is not None:
            return self.commit
        if self.branch is None:
            return "HEAD"
        return self.branch if self.branch.startswith("refs/") else f"refs/heads/{self.branch}"


def source_of(config: Mapping[str, Any]) -> Source:
    """Of a rendered config. Raises ValueError, with a message for people, on what may not be fetched."""
    branch, commit = config.get("branch"), config.get("commit")
    if branch is not None:
        check_ref(branch)
    if commit is not None:
        check_commit(commit)
    return Source(url=repository_url(config["repo_url"]), branch=branch, commit=commit)


def repository_url(text: str) -> str:
    """The URL in its plain form. Raises ValueError unless it is `https://host/path` or `http://host/path`."""
    plain = len(text) <= MAX_URL_LENGTH and _URL.fullmatch(text) and not _HIDDEN_CONTROL.search(text)
    if not plain or "::" in _ADDRESS.sub("", text, count=1):
        raise ValueError("repo_url is no URL of a repository: https://host/path")
    parts = urlsplit(text)
    if parts.scheme not in ("https", "http"):
        raise ValueError(f"repo_url is https://host/path; {parts.scheme or 'a path'!r} is not fetched")
    if "@" in parts.netloc:
        raise ValueError("repo_url may not carry a user name or password; name a credential")
    if parts.query or parts.fragment or parts.path in ("", "/"):
        raise ValueError("repo_url has a path, and nothing after it")
    host, port = _host(parts.hostname or ""), parts.port  # a port that is none raises ValueError
    return f"{parts.scheme}://{host}{'' if port is None else f':{port}'}{parts.path}"


def check_ref(name: str) -> None:
    """Raises ValueError unless it is the name of a branch, or `refs/…` in full."""
    refused = any(part in name for part in _NO_REF) or name.endswith((".lock", "/", "."))
    if refused or not _REF.fullmatch(name):
        raise ValueError("branch is no name of a branch: letters, digits and . _ / - after a letter or digit")


def check_commit(commit: str) -> None:
    """Raises ValueError unless it is a whole object id."""
    if not _COMMIT.fullmatch(commit):
        raise ValueError("commit is the whole id of a commit: 40 or 64 hexadecimal digits, in lower case")


def _host(name: str) -> str:
    """An address in its usual form, or a name. `127.1` and `0x7f.1` are addresses only to some programs: refused."""
    try:
        address = ipaddress.ip_address(name)
    except ValueError:
        last = name.rpartition(".")[2]
        if not _HOST.fullmatch(name) or last.isdigit() or last.startswith("0x"):
            raise ValueError("repo_url names no host") from None
        return name
    if "%" in name:
        raise ValueError("repo_url names no host")
    return f"[{address}]" if address.version == 6 else str(address)
