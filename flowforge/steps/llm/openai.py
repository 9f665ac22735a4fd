"""Chat completions, as OpenAI made them and many others speak them.

https://platform.openai.com/docs/api-reference/chat-streaming
"""

from typing import Any, Final

from flowforge.core.json import Json
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

_STOPS: Final[dict[str, Stop]] = {
    "stop": "end",
    "tool_calls": "end",
    "function_call": "end",
    "length": "length",
    "content_filter": "refusal",
}


class OpenAI:
    """`compatible`: other people's servers, which know the older names and the plain JSON mode."""

    def __init__(self, *, compatible: bool = False) -> None:
        self._compatible = compatible
        self.default_url = "" if compatible else "https://api.openai.com/v1"

    def path(self) -> str:
        return "/chat/completions"

    def headers(self, key: str) -> dict[str, str]:
        return {"authorization": f"Bearer {key}"} if key else {}

    def body(self, question: Question) -> dict[str, Any]:
        body: dict[str, Any] = {
            "model": question.model,
            "messages": [_message(message) for message in question.messages],
            "stream": True,
            "stream_options": {"include_usage": True},
            "max_tokens" if self._compatible else "max_completion_tokens": question.max_tokens,
        }
        if question.temperature is not None:
            body["temperature"] = question.temperature
        if question.output_schema is not None:
            body["response_format"] = self._format(question.output_schema)
        if question.tools:
            body["tools"] = [
                {
                    "type": "function",
                    "function": {"name": tool.name, "description": tool.description, "parameters": tool.input_schema},
                }
                for tool in question.tools
            ]
        return body

    def reader(self, question: Question) -> "OpenAIReader":  # noqa: ARG002  the same of every question
        return OpenAIReader()

    def _format(self, schema: Json) -> dict[str, Json]:
        if self._compatible:
            return {"type": "json_object"}
        # not strict: that mode knows a part of JSON Schema only; the step checks the reply itself
        return {"type": "json_schema", "json_schema": {"name": "output", "schema": schema, "strict": False}}


class OpenAIReader:
    """Chunks `{choices: [{delta, finish_reason}], usage}` until `[DONE]`."""

    def __init__(self) -> None:
        self.reply = Reply()
        self._text: list[str] = []
        self._calls: dict[int, dict[str, list[str]]] = {}
        self._size = 0
        self._saw_choice = False

    def feed(self, event: SentEvent) -> str:
        if event.data == b"[DONE]":
            return ""
        chunk = read_event(event.data)
        if chunk.get("error"):
            raise of_stream(chunk["error"])
        if usage := member(chunk, "usage"):
            self.reply.input_tokens = count(usage.get("prompt_tokens"))
            self.reply.output_tokens = count(usage.get("completion_tokens"))
        choices = chunk.get("choices")
        if not isinstance(choices, list) or not choices or not isinstance(choices[0], dict):
            return ""
        self._saw_choice = True
        return self._take(choices[0])

    def finish(self) -> Reply:
        if not self._saw_choice:
            raise failure("empty_response", "The provider's answer holds no choice.")
        if self.reply.stop is None:
            raise failure("stream_broken", "The stream ended before the reply did.")
        self.reply.text = "".join(self._text)
        self.reply.calls = [_call(place, self._calls[place]) for place in sorted(self._calls)]
        require_room(self.reply, self._size)
        return self.reply

    def _take(self, choice: dict[str, Json]) -> str:
        delta = member(choice, "delta")
        text, refusal = piece(delta.get("content")), piece(delta.get("refusal"))
        self._text.append(text)
        self.reply.refusal += refusal
        self._size += len(text) + len(refusal)
        calls = delta.get("tool_calls")
        for part in calls if isinstance(calls, list) else []:
            self._take_call(part)
        require_room(self.reply, self._size)
        if reason := piece(choice.get("finish_reason")):
            self.reply.stop = "refusal" if self.reply.refusal else _STOPS.get(reason, "end")
        return text

    def _take_call(self, part: Json) -> None:
        place = count(part.get("index", 0)) if isinstance(part, dict) else None
        if place is None or place > 1_000:
            raise failure("invalid_response", "The provider's answer is garbled: a tool call has no place.")
        found = self._calls.setdefault(place, {"id": [], "name": [], "arguments": []})
        function = member(part, "function")
        for name, text in (("id", part.get("id")), ("name", function.get("name"))):
            found[name].append(piece(text))
        found["arguments"].append(piece(function.get("arguments")))
        self._size += len(found["arguments"][-1])


def _call(place: int, parts: dict[str, list[str]]) -> Call:
    return Call(
        id="".join(parts["id"])[:200] or f"call_{place}",
        name="".join(parts["name"])[:200],
        arguments="".join(parts["arguments"]),
    )


def _message(message: Message) -> dict[str, Json]:
    if message["role"] == "tool":
        return {"role": "tool", "tool_call_id": message["id"], "content": message["content"]}
    calls = [
        {"id": call["id"], "type": "function", "function": {"name": call["name"], "arguments": call["arguments"]}}
        for call in message.get("calls", ())
    ]
    said: dict[str, Json] = {"role": message["role"], "content": message["content"]}
    return said | ({"tool_calls": calls} if calls else {})
