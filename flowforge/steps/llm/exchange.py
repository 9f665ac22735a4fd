"""What goes to a language model and what comes back, whoever provides it."""

import json as stdlib_json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal, Protocol

from flowforge.core import json
from flowforge.core.json import Json
from flowforge.steps.base import Failed
from flowforge.steps.llm.sse import SentEvent

MAX_TEXT: Final = 512 * 1024  # characters of a reply, and of the arguments of all its calls
MAX_CALLS: Final = 16  # of one reply

Stop = Literal["end", "length", "refusal"]
Message = Mapping[str, Json]
"""`{role: system | user, content}`, `{role: assistant, content, calls: [{id, name, arguments}]}` or
`{role: tool, id, content}`: all that is kept of a conversation, in the words of neither provider."""


class ReplyFailed(Exception):
    """There is no reply, or none that can be used: the step fails with `failed`."""

    def __init__(self, failed: Failed) -> None:
        super().__init__(failed.message)
        self.failed = failed


def failure(code: str, message: str, *, retryable: bool = True) -> ReplyFailed:
    """To be raised."""
    return ReplyFailed(Failed(code=code, message=message, retryable=retryable))


@dataclass(frozen=True, kw_only=True, slots=True)
class ToolSpec:
    """A tool as the model is told of it."""

    name: str
    description: str
    input_schema: Mapping[str, Json]


@dataclass(frozen=True, kw_only=True, slots=True)
class Question:
    """One call of a model."""

    model: str
    messages: Sequence[Message]
    max_tokens: int
    temperature: float | None = None
    output_schema: Json = None
    tools: Sequence[ToolSpec] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Call:
    """A tool that the model wants called; the arguments are the text that it wrote, which may be anything."""

    id: str
    name: str
    arguments: str

    def as_dict(self) -> dict[str, Json]:
        return {"id": self.id, "name": self.name, "arguments": self.arguments}


@dataclass(kw_only=True, slots=True)
class Reply:
    """What came back, as far as it has come."""

    text: str = ""
    calls: list[Call] = field(default_factory=list)
    stop: Stop | None = None  # None: it has not ended
    refusal: str = ""
    input_tokens: int | None = None
    output_tokens: int | None = None


class Reader(Protocol):
    """Puts a reply together from the events of a stream."""

    reply: Reply

    def feed(self, event: SentEvent) -> str:
        """Take an event in; gives the text that it has brought. Raises ReplyFailed."""
        ...

    def finish(self) -> Reply:
        """The stream has ended. Raises ReplyFailed if that is not all of it."""
        ...


class Provider(Protocol):
    """One way to talk to models over HTTP; without state."""

    default_url: str  # "": there is none

    def path(self) -> str:
        """Below the base URL."""
        ...

    def headers(self, key: str) -> dict[str, str]:
        """How the key is shown; "" is none."""
        ...

    def body(self, question: Question) -> dict[str, Any]: ...

    def reader(self, question: Question) -> Reader: ...


def read_event(data: bytes) -> dict[str, Json]:
    """The object that an event holds. Raises ReplyFailed.

    With the standard library's parser, as in http_answer: a NUL or a huge number in somebody's text is no garble.
    """
    try:
        found = stdlib_json.loads(data)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise failure("invalid_response", "The provider's answer is garbled: an event that is no JSON object.")
    return found


def count(value: Json) -> int | None:
    """A number of tokens, if it is one."""
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**53 else None


def piece(value: Json) -> str:
    """A part of a text, with nothing in it that can't be stored; whatever else stands in its place is nothing."""
    return str(json.sanitize(value)[0]) if isinstance(value, str) else ""


def member(value: Json, name: str) -> dict[str, Json]:
    """A member that is an object; an empty one where it is not."""
    found = value.get(name) if isinstance(value, Mapping) else None
    return found if isinstance(found, dict) else {}


def require_room(reply: Reply, size: int) -> None:
    """Raises ReplyFailed once a reply is larger than anybody keeps."""
    if size > MAX_TEXT or len(reply.calls) > MAX_CALLS:
        raise failure("response_too_large", "The reply is larger than can be kept.", retryable=False)
