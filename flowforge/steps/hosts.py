"""Host patterns: where a credential may be sent.

`api.example.com`, `*.example.com` (every host below it, not itself), `*` (anywhere); with `:8443` that port alone.
"""

import re
from collections.abc import Iterable
from typing import Final
from urllib.parse import urlsplit

ANYWHERE: Final = "*"
MAX_LENGTH: Final = 255

_PATTERN: Final = re.compile(
    r"(?:\*|(?:\*\.)?[a-z0-9_](?:[a-z0-9_-]*[a-z0-9_])?(?:\.[a-z0-9_](?:[a-z0-9_-]*[a-z0-9_])?)*|\[[0-9a-f:.]+\])"
    r"(?::[0-9]{1,5})?"
)


def normalised(pattern: str) -> str | None:
    """The pattern in lower case; None if it is none."""
    found = pattern.strip().lower().rstrip(".")
    return found if len(found) <= MAX_LENGTH and _PATTERN.fullmatch(found) else None


def admits(patterns: Iterable[str], host: str) -> bool:
    """Whether any pattern matches `host`: a name or address, with or without its port."""
    name, port = _split(host.lower())
    return any(_matches(pattern, name, port) for pattern in patterns)


def host_of(url: str) -> str | None:
    """`name:port` of an http(s) URL, as far as it is written down; None where an expression stands in its place."""
    try:
        found = urlsplit(url.partition("{{")[0] + "\0" if "{{" in url else url)
        name, port = found.hostname, found.port
    except ValueError:
        return None
    if name is None or "\0" in found.netloc or found.scheme not in ("http", "https"):
        return None
    shown = f"[{name}]" if ":" in name else name
    return f"{shown}:{port or (443 if found.scheme == 'https' else 80)}"


def _matches(pattern: str, name: str, port: str) -> bool:
    wanted, wanted_port = _split(pattern)
    if wanted_port and wanted_port != port:
        return False
    if wanted.startswith("*."):
        return name.endswith(wanted[1:]) and len(name) > len(wanted) - 1
    return wanted in (ANYWHERE, name)


def _split(text: str) -> tuple[str, str]:
    """(name without its final dot, port or "")."""
    name, colon, port = text.rpartition(":")
    if not colon or not port.isdecimal() or (":" in name and not name.endswith("]")):
        name, port = text, ""
    return name.rstrip("."), port
