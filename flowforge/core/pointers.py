"""JSON pointers (RFC 6901)."""

from collections.abc import Iterable

from flowforge.core.json import Json


def pointer_of(path: Iterable[str | int]) -> str:
    """The pointer of a path of keys and indexes; "" is the whole document."""
    return "".join(f"/{escape(str(token))}" for token in path)


def escape(token: str) -> str:
    """A key as a reference token."""
    return token.replace("~", "~0").replace("/", "~1")


def tokens(pointer: str) -> list[str]:
    """The keys of a pointer, unescaped."""
    return [token.replace("~1", "/").replace("~0", "~") for token in pointer.split("/")[1:]]


def resolve(document: Json, pointer: str) -> Json:
    """The value at a pointer. Raises KeyError if there is none."""
    found = document
    for token in tokens(pointer):
        if isinstance(found, list):
            if not (token.isascii() and token.isdigit() and int(token) < len(found)):
                raise KeyError(pointer)
            found = found[int(token)]
        elif isinstance(found, dict) and token in found:
            found = found[token]
        else:
            raise KeyError(pointer)
    return found
