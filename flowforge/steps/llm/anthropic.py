"""Messages, as Anthropic's API speaks them. https://docs.anthropic.com/en/api/messages-streaming

Structured output is a tool that the model has to call, `answer`, whose input is the output.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from flowforge.core import json
from flowforge.core.json import Json, JsonError
from flowforge.steps.llm.exchange import (
    Call,
    Message,
    Question,
    Reply,
    Stop,
    count,
    failure,
    member,
    piece,
    read_event,
    require_room,
)
from flowforge.steps.llm.failures import of_stream
from flowforge.steps.llm.sse import SentEvent

ANSWER: Final = "answer"
VERSION: Final = "2023-06-01"

_STOPS: Final[dict[str, Stop]] = {
    "end_turn": "end",
    "stop_sequence": "end",
    "tool_use": "end",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "refusal": "refusal",
}


class Anthropic:
    """The messages shape."""

    default_url = "https://api.anthropic.com/v1"

    def path(self) -> str:
        return "/messages"

    def headers(self, key: str) -> dict[str, str]:
        return {"anthropic-version": VERSION} | ({"x-api-key": key} if key else {})

    def body(self, question: Question) -> dict[str, Any]:
        body: dict[str, Any] = {
            "model": question.model,
            "max_tokens": question.max_tokens,
            "messages": _turns(question.messages),
            "stream": True,
        }
        system = "\n\n".join(str(said["content"]) for said in question.messages if said["role"] == "system")
        if system:
            body["system"] = system
        if question.temperature is not None:
            body["temperature"] = question.temperature
        tools = [
            {"name": tool.name, "description": tool.description, "input_schema": tool.input_schema}
            for tool in question.tools
        ]
        if _by_tool(question):
            tools.append({"name": ANSWER, "description": "Gives the answer.", "input_schema": question.output_schema})
            body["tool_choice"] = {"type": "any"} if question.tools else {"type": "tool", "name": ANSWER}
        if tools:
            body["tools"] = tools
        return body

    def reader(self, question: Question) -> "AnthropicReader":
        return AnthropicReader(answers_by_tool=_by_tool(question))


class AnthropicReader:
    """Events `message_start`, `content_block_*`, `message_delta`, `message_stop`; `error` at any time."""

    def __init__(self, *, answers_by_tool: bool) -> None:
        self.reply = Reply()
        self._answers_by_tool = answers_by_tool
        self._blocks: dict[int, tuple[dict[str, Json], list[str]]] = {}
        self._stop: Stop | None = None
        self._size = 0

    def feed(self, event: SentEvent) -> str:
        said = read_event(event.data)
        kind = said.get("type")
        if kind == "error":
            raise of_stream(said.get("error"))
        if kind == "message_start":
            self._count(member(member(said, "message"), "usage"))
        elif kind == "content_block_start":
            self._blocks[self._place(said)] = (member(said, "content_block"), [])
        elif kind == "content_block_delta":
            return self._take(said)
        elif kind == "message_delta":
            self._count(member(said, "usage"))
            if reason := piece(member(said, "delta").get("stop_reason")):
                self._stop = _STOPS.get(reason, "end")
        elif kind == "message_stop":
            self.reply.stop = self._stop or "end"
        return ""

    def finish(self) -> Reply:
        if self.reply.stop is None:
            raise failure("stream_broken", "The stream ended before the reply did.")
        for place in sorted(self._blocks):
            self._gather(*self._blocks[place], place)
        if not self._blocks and self.reply.stop == "end":
            raise failure("empty_response", "The provider's answer holds nothing.")
        require_room(self.reply, self._size)
        return self.reply

    def _take(self, said: dict[str, Json]) -> str:
        delta = member(said, "delta")
        text = piece(delta.get("text")) or piece(delta.get("partial_json"))
        found = self._blocks.get(self._place(said))
        if found is None:
            raise failure("invalid_response", "The provider's answer is garbled: a block that has not begun.")
        found[1].append(text)
        self._size += len(text)
        require_room(self.reply, self._size)
        return text if found[0].get("type") == "text" or found[0].get("name") == ANSWER else ""

    def _gather(self, block: Mapping[str, Json], parts: Sequence[str], place: int) -> None:
        if block.get("type") == "text":
            self.reply.text += piece(block.get("text")) + "".join(parts)
        elif block.get("type") == "tool_use":
            name, arguments = piece(block.get("name"))[:200], "".join(parts) or "{}"
            if self._answers_by_tool and name == ANSWER:
                self.reply.text = arguments
            else:
                call_id = piece(block.get("id"))[:200] or f"call_{place}"
                self.reply.calls.append(Call(id=call_id, name=name, arguments=arguments))

    def _count(self, usage: Mapping[str, Json]) -> None:
        """The tokens that came from a cache, or went into it, are input as well; later numbers are the sum so far."""
        parts = [count(usage.get(f"{kind}input_tokens")) for kind in ("", "cache_creation_", "cache_read_")]
        if parts[0] is not None:
            self.reply.input_tokens = sum(part or 0 for part in parts)
        found = count(usage.get("output_tokens"))
        if found is not None:
            self.reply.output_tokens = found

    def _place(self, said: Mapping[str, Json]) -> int:
        place = count(said.get("index"))
        if place is None or place > 1_000:
            raise failure("invalid_response", "The provider's answer is garbled: a block has no place.")
        return place


def _by_tool(question: Question) -> bool:
    """A tool's input is an object: other outputs are asked for in words."""
    schema = question.output_schema
    return isinstance(schema, Mapping) and schema.get("type") == "object"


def _turns(messages: Sequence[Message]) -> list[dict[str, Json]]:
    """Roles in turn: results of tools are said by the user, several in one message."""
    turns: list[dict[str, Json]] = []
    for message in messages:
        if message["role"] == "system":
            continue
        role, blocks = ("assistant" if message["role"] == "assistant" else "user"), _blocks(message)
        if turns and turns[-1]["role"] == role:
            turns[-1]["content"] += blocks
        elif blocks:
            turns.append({"role": role, "content": blocks})
    return turns


def _blocks(message: Message) -> list[dict[str, Json]]:
    if message["role"] == "tool":
        return [{"type": "tool_result", "tool_use_id": message["id"], "content": message["content"]}]
    # an empty text is refused
    blocks: list[dict[str, Json]] = [{"type": "text", "text": message["content"]}] if message["content"] else []
    for call in message.get("calls", ()):
        blocks.append({"type": "tool_use", "id": call["id"], "name": call["name"], "input": _input(call["arguments"])})
    return blocks


def _input(arguments: str) -> Json:
    """What the model wrote, said back to it; what was no JSON object it reads as an empty one."""
    try:
        found = json.loads(arguments.encode("utf-8", "replace"))
    except JsonError:
        return {}
    return found if isinstance(found, dict) else {}
