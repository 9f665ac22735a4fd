"""Filters that encode text for transport, and digests."""

import base64
import hashlib
from collections.abc import Mapping
from urllib.parse import quote, quote_plus

from flowforge.core import json
from flowforge.kernel.expressions.budget import Budget
from flowforge.kernel.expressions.errors import evaluation_error
from flowforge.kernel.expressions.filters.arguments import text
from flowforge.kernel.expressions.registry import expression_filter
from flowforge.kernel.expressions.values import Value, fresh, to_text

_ALGORITHMS = frozenset({"md5", "sha1", "sha224", "sha256", "sha384", "sha512", "blake2b"})
_QUOTED = 3  # characters that a character of ASCII becomes at most


@expression_filter("hash")
def digest(budget: Budget, value: Value, algorithm: Value = "sha256") -> str:
    """The digest in hexadecimal of a text's UTF-8, or of any other value's JSON with sorted keys."""
    if not isinstance(algorithm, str) or algorithm not in _ALGORITHMS:
        raise evaluation_error(f"the algorithm has to be one of {', '.join(sorted(_ALGORITHMS))}")
    if isinstance(value, str):
        budget.read(value)
        raw = value.encode()
    else:
        raw = json.canonical(fresh(value, budget))
    return hashlib.new(algorithm, raw, usedforsecurity=False).hexdigest()


@expression_filter("urlencode")
def urlencode(budget: Budget, value: Value) -> str:
    """Text for a URL's path ("/" stays), or an object as a query string."""
    if not isinstance(value, Mapping):
        return _quote(budget, value, as_query=False)
    pairs = []
    for key, item in value.items():
        budget.spend(1)
        pairs.append(f"{_quote(budget, key, as_query=True)}={_quote(budget, item, as_query=True)}")
    return "&".join(pairs)


def _quote(budget: Budget, value: Value, *, as_query: bool) -> str:
    plain = to_text(value, budget)
    budget.build(len(plain.encode()) * _QUOTED)
    return quote_plus(plain) if as_query else quote(plain)


@expression_filter("b64encode")
def b64encode(budget: Budget, value: Value) -> str:
    """Base64 (RFC 4648, section 4) of the text's UTF-8."""
    raw = text(value).encode()
    budget.build(len(raw) * 2)
    return base64.b64encode(raw).decode()


@expression_filter("b64decode")
def b64decode(budget: Budget, value: Value) -> str:
    """The text whose UTF-8 was encoded, in the standard or the URL-safe alphabet, with or without padding."""
    budget.build(len(text(value)))
    standard = value.translate(str.maketrans("-_", "+/")).rstrip("=")
    try:
        found = base64.b64decode(standard + "=" * (-len(standard) % 4), validate=True).decode()
    except ValueError:
        raise evaluation_error("the value is no Base64 of a text") from None
    if "\x00" in found:
        raise evaluation_error("the value holds NUL")
    return found
