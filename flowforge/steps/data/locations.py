"""URLs of data, read and checked as far as their text shows.

`file://`, `http://` and `https://`, `s3://bucket/key`, `postgres://host/database?table=t`, `sqlite:///path?table=t`,
`asset://<id>`. None carries a password: that is what credentials are for.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

from flowforge.core.egress import EgressError, checked_url
from flowforge.core.errors import Fault
from flowforge.steps.data.failures import DataFailure
from flowforge.steps.values import holds_expression

SCHEMES: Final = ("file", "http", "https", "s3", "postgres", "sqlite", "asset")
TABLES: Final = frozenset({"postgres", "sqlite"})  # the schemes whose data are rows, not bytes
MAX_IDENTIFIER_BYTES: Final = 63  # of PostgreSQL (its manual, 4.1.1)

_SAME: Final = {"postgresql": "postgres"}
_QUERY: Final = {
    "postgres": {"table", "schema", "sslmode"},
    "sqlite": {"table"},
    "file": set[str](),
    "s3": set[str](),
    "asset": set[str](),
}
_SSL_MODES: Final = ("disable", "allow", "prefer", "require", "verify-ca", "verify-full")
_BUCKET: Final = re.compile(r"[a-z0-9][a-z0-9._-]{1,61}[a-z0-9]")


@dataclass(frozen=True, kw_only=True, slots=True)
class Location:
    """Where data lies."""

    scheme: str  # one of SCHEMES
    url: str  # as it was given: for http alone, and for no log (its query may hold a key)
    shown: str  # for people: without user, query and fragment
    host: str = ""  # of postgres, with S3 the bucket
    port: int = 0  # of http; of postgres: 0 where it is not written
    path: str = ""  # of file and sqlite: absolute, or relative to the first file root; S3's key; an asset's id
    database: str = ""
    user: str = ""
    schema: str = ""
    table: str = ""
    sslmode: str = "prefer"

    @property
    def is_table(self) -> bool:
        return self.scheme in TABLES

    @property
    def name(self) -> str:
        """The last part of its path: its ending may say what it holds."""
        return self.path.rstrip("/").rpartition("/")[2]


def parse(url: str) -> Location:
    """Raises DataFailure `invalid_url`, `unsupported_location` or `password_in_url`."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise DataFailure("invalid_url", "The URL is none.") from None
    if any(ord(character) < 0x20 for character in unquote(url)):
        raise DataFailure("invalid_url", "The URL holds a control character.")
    scheme = _SAME.get(parts.scheme, parts.scheme)
    if scheme not in SCHEMES:
        raise DataFailure("unsupported_location", f"No data are read from or written to {parts.scheme or 'that'}:.")
    if parts.password is not None or ("@" in parts.netloc and scheme != "postgres"):
        raise DataFailure("password_in_url", "A URL carries no user or password: name a credential.")
    query = _query(scheme, parts.query)
    shown = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"
    found = Location(scheme=scheme, url=url, shown=shown, path=unquote(parts.path))
    return _READERS[scheme](found, parts, port, query)


def faults_of_location(config: Mapping[str, Any], member: str) -> list[Fault]:
    """Of a member that is a URL of data, if it is there and holds no expression."""
    value = config.get(member)
    if not isinstance(value, str) or holds_expression(value):
        return []
    try:
        parse(value)
    except DataFailure as failure:
        return [Fault(pointer=f"/{member}", code=failure.code, detail=failure.message)]
    return []


def _query(scheme: str, text: str) -> dict[str, str]:
    if scheme not in _QUERY:
        return {}
    pairs = parse_qsl(text, keep_blank_values=True)
    unknown = sorted({name for name, _ in pairs} - _QUERY[scheme])
    if unknown:
        raise DataFailure("invalid_url", f"A URL of {scheme} knows no {unknown[0]!r} in its query.")
    return dict(pairs)


def _file(found: Location, parts: SplitResult, _port: int | None, _query: Mapping[str, str]) -> Location:
    """`file:///a/b` is absolute (RFC 8089), `file://a/b` lies below the first file root."""
    host = "" if parts.netloc == "localhost" else unquote(parts.netloc)
    path = f"{host}{found.path}" if host else found.path
    if not path.strip("/"):
        raise DataFailure("invalid_url", "The URL names no file.")
    return replace(found, path=path)


def _web(found: Location, parts: SplitResult, port: int | None, _query: Mapping[str, str]) -> Location:
    try:
        checked_url(found.url)
    except EgressError as error:
        raise DataFailure("invalid_url", str(error)) from None
    return replace(found, host=parts.hostname or "", port=port or (443 if found.scheme == "https" else 80))


def _s3(found: Location, parts: SplitResult, _port: int | None, _query: Mapping[str, str]) -> Location:
    key = found.path.removeprefix("/")
    if not _BUCKET.fullmatch(parts.netloc) or ".." in parts.netloc or not key or key.endswith("/"):
        raise DataFailure("invalid_url", "An S3 URL is s3://bucket/key.")
    return replace(found, host=parts.netloc, path=key)


def _postgres(found: Location, parts: SplitResult, port: int | None, query: Mapping[str, str]) -> Location:
    if query.get("sslmode", "prefer") not in _SSL_MODES:
        raise DataFailure("invalid_url", f"sslmode is one of {', '.join(_SSL_MODES)}.")
    schema, table = _table(query)
    return replace(
        found,
        host=parts.hostname or "",  # none: the credential's
        port=port or 0,
        database=found.path.strip("/"),
        user=unquote(parts.username or ""),
        schema=schema,
        table=table,
        sslmode=query.get("sslmode", "prefer"),
    )


def _sqlite(found: Location, parts: SplitResult, _port: int | None, query: Mapping[str, str]) -> Location:
    """`sqlite:////a/b.db` is absolute, `sqlite:///b.db` lies below the first file root, unless it is in one."""
    if parts.netloc not in ("", "localhost") or not found.path.strip("/"):
        raise DataFailure("invalid_url", "A URL of SQLite is sqlite:///path.db?table=t.")
    _, table = _table({"table": query.get("table", "")}, dotted=False)
    return replace(found, path=found.path, table=table)


def _asset(found: Location, parts: SplitResult, _port: int | None, _query: Mapping[str, str]) -> Location:
    asset_id = parts.netloc or found.path.strip("/")
    if not asset_id or (parts.netloc and found.path.strip("/")):
        raise DataFailure("invalid_url", "A URL of an asset is asset://<id>.")
    return replace(found, path=asset_id)


def _table(query: Mapping[str, str], *, dotted: bool = True) -> tuple[str, str]:
    """(schema or "", table); `schema.table` where there is no `schema`."""
    schema, table = query.get("schema", ""), query.get("table", "")
    if dotted and not schema and table.count(".") == 1:
        schema, _, table = table.partition(".")
    for name in (schema, table):
        if len(name.encode()) > MAX_IDENTIFIER_BYTES:
            raise DataFailure("invalid_url", f"A name of a table or schema has at most {MAX_IDENTIFIER_BYTES} bytes.")
    if not table:
        raise DataFailure("invalid_url", "The URL names no table: add ?table=….")
    return schema, table


_READERS: Final = {
    "file": _file,
    "http": _web,
    "https": _web,
    "s3": _s3,
    "postgres": _postgres,
    "sqlite": _sqlite,
    "asset": _asset,
}
