"""Secrets are masked before anything is stored: by their value wherever they turn up, and by the name of their key."""

import base64
import json as stdlib_json
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Final
from urllib.parse import quote, quote_plus

from flowforge.core.json import Json

MASK: Final = "***"
MIN_LENGTH: Final = 6  # shorter ones would mask half of what people write

_SENSITIVE: Final = re.compile(r"authorization|token|secret|password|passwd|api[-_]?key|cookie", re.IGNORECASE)


def is_sensitive(key: str) -> bool:
    """Does a field or header of this name hold a secret?"""
    return _SENSITIVE.search(key) is not None


def secrets_in(value: Json) -> Iterator[str]:
    """The texts under keys whose names say that they hold a secret, long enough to be looked for."""
    stack: list[tuple[Json, bool]] = [(value, False)]
    while stack:
        item, hidden = stack.pop()
        if isinstance(item, str):
            if hidden and len(item) >= MIN_LENGTH:
                yield item
        elif isinstance(item, Mapping):
            stack.extend((each, hidden or (isinstance(key, str) and is_sensitive(key))) for key, each in item.items())
        elif isinstance(item, (list, tuple)):
            stack.extend((each, hidden) for each in item)


class Redactor:
    """Masks given secret values in all their usual spellings; safe to share between threads."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        """Secrets shorter than MIN_LENGTH are not looked for; of one with several lines, each line is."""
        forms = {form for secret in secrets for part in _parts(secret) for form in _forms(part)}
        longest_first = sorted(forms, key=lambda form: (-len(form), form))
        self._pattern = re.compile("|".join(map(re.escape, longest_first))) if forms else None
        self._longest = len(longest_first[0]) if forms else 0

    def text(self, text: str) -> str:
        """The text with every secret value masked."""
        return text if self._pattern is None else self._pattern.sub(MASK, text)

    def value(self, value: Json) -> Json:
        """A copy of a JSON value, secrets masked in all its texts and keys, and the texts under sensitive keys.

        Numbers and booleans stay: `max_tokens: 100` is no secret.
        """
        return self._value(value, hide=False)

    def known(self, value: Json) -> Json:
        """A copy of a JSON value in which the secret values alone are masked, whatever their keys are called.

        For what steps give: a key named `token` is not ours to judge there. Of numbers those that are a secret.
        """
        if self._pattern is None:
            return value
        if isinstance(value, Mapping):
            return {self.text(key) if isinstance(key, str) else key: self.known(item) for key, item in value.items()}
        if isinstance(value, (list, tuple)):
            return [self.known(item) for item in value]
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            return value if self._pattern.search(repr(value)) is None else MASK
        return value

    def stream(self) -> "StreamRedactor":
        """For text that comes in chunks, a secret split over two of them included."""
        return StreamRedactor(self._pattern, self._longest)

    def _value(self, value: Json, *, hide: bool) -> Json:
        if isinstance(value, str):
            return MASK if hide and value else self.text(value)
        if isinstance(value, Mapping):
            return {
                self.text(key) if isinstance(key, str) else key: self._value(
                    item, hide=hide or (isinstance(key, str) and is_sensitive(key))
                )
                for key, item in value.items()
            }
        if isinstance(value, (list, tuple)):
            return [self._value(item, hide=hide) for item in value]
        return value


class StreamRedactor:
    """Masks a text that comes in chunks; holds back what might be the beginning of a secret."""

    def __init__(self, pattern: re.Pattern[str] | None, longest: int) -> None:
        self._pattern = pattern
        self._longest = longest
        self._held = ""

    def feed(self, chunk: str) -> str:
        """As much of the masked text as is certain by now."""
        if self._pattern is None:
            return chunk
        text, self._held = self._held + chunk, ""
        pieces: list[str] = []
        place = 0
        safe = len(text) - self._longest + 1  # a match that begins from here on may go on in the next chunk
        for match in self._pattern.finditer(text):
            if match.start() >= safe:
                break
            pieces += (text[place : match.start()], MASK)
            place = match.end()
        end = max(place, safe)
        self._held = text[end:]
        return "".join([*pieces, text[place:end]])

    def finish(self) -> str:
        """The rest."""
        rest, self._held = self._held, ""
        return rest if self._pattern is None else self._pattern.sub(MASK, rest)


def _parts(secret: str) -> Iterator[str]:
    """The secret, and its lines: logs are read line by line."""
    candidates = {secret, *(line.strip() for line in secret.splitlines())}
    return (part for part in candidates if len(part) >= MIN_LENGTH)


def _forms(secret: str) -> Iterator[str]:
    yield secret
    yield stdlib_json.dumps(secret)[1:-1]
    yield stdlib_json.dumps(secret, ensure_ascii=False)[1:-1]
    for quoted in (quote(secret, safe=""), quote(secret), quote_plus(secret)):
        yield quoted
        yield re.sub(r"%[0-9A-F]{2}", lambda escape: escape[0].lower(), quoted)
    raw = secret.encode("utf-8", "surrogatepass")
    yield raw.hex()
    yield raw.hex().upper()
    yield from _base64_forms(raw)


def _base64_forms(raw: bytes) -> Iterator[str]:
    """What of its base64 does not depend on its neighbours, for each of the three ways it can lie in a longer text.

    `user:password` of basic authentication encodes the password from its sixth byte on.
    """
    for offset in range(3):
        encoded = base64.b64encode(b"\0" * offset + raw).decode().rstrip("=")
        first = -(-offset * 8 // 6)  # characters that the bytes before have a part in
        last = (offset + len(raw)) * 8 // 6  # characters that the bytes after have no part in
        inner = encoded[first:last]
        if len(inner) >= MIN_LENGTH:
            yield inner
            yield inner.replace("+", "-").replace("/", "_")
