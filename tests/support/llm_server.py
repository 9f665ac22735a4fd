"""A server on the loopback that speaks both protocols of language models, with the faults that are told of them.

`server.says("Hello")` scripts the next answer, in whichever protocol it is asked; `calls` asks for tools; the other
methods are faults.
"""

import contextlib
import json
import threading
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Literal

Shape = Literal["openai", "anthropic"]
PATHS: dict[str, Shape] = {"/v1/chat/completions": "openai", "/v1/messages": "anthropic"}


@dataclass(frozen=True, kw_only=True)
class Question:
    shape: Shape
    headers: dict[str, str]  # names in lower case
    body: dict[str, Any]

    @property
    def said(self) -> str:
        """All that it says, as text to look in."""
        return json.dumps([self.body["messages"], self.body.get("system")], ensure_ascii=False)


@dataclass(frozen=True, kw_only=True)
class Answer:
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""  # of another status than 200
    parts: Sequence[str] = ()  # of the text, a chunk each
    calls: Sequence[tuple[str, str]] = ()  # (tool, arguments)
    raw: Sequence[bytes] | None = None  # in place of all that: events as they are
    stop: str = "end"  # end, length, refusal, none
    usage: tuple[int, int] | None = (100, 10)
    cut: bool = False  # the connection breaks after the parts
    hang: bool = False  # nothing more comes after them until the client has gone


class LlmServer:
    def __init__(self, server: ThreadingHTTPServer) -> None:
        self.url = f"http://127.0.0.1:{server.server_address[1]}/v1"
        self.asked: list[Question] = []
        self.arrived = threading.Event()
        self.released = threading.Event()
        self._answers: deque[Answer] = deque()

    def says(self, *parts: str, **fields: Any) -> None:
        self._answers.append(Answer(parts=parts, **fields))

    def calls(self, *calls: tuple[str, str], **fields: Any) -> None:
        self._answers.append(Answer(calls=calls, **fields))

    def refuses(self, status: int, message: str = "", **headers: str) -> None:
        body = json.dumps({"error": {"type": "some_error", "message": message}}).encode()
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        self._answers.append(Answer(status=status, body=body, headers=given))

    def sends(self, *raw: bytes) -> None:
        """These events, whatever they are."""
        self._answers.append(Answer(raw=raw))

    def take(self, question: Question) -> Answer:
        self.asked.append(question)
        self.arrived.set()
        return self._answers.popleft() if self._answers else Answer(parts=["Hello"])


def event(data: Any, name: str = "") -> bytes:
    text = data if isinstance(data, str) else json.dumps(data)
    return (f"event: {name}\n" if name else "").encode() + f"data: {text}\n\n".encode("utf-8", "surrogatepass")


def events_of(answer: Answer, question: Question) -> Iterable[bytes]:
    if answer.raw is not None:
        return answer.raw
    return _openai(answer) if question.shape == "openai" else _anthropic(answer, question)


def _openai(answer: Answer) -> Iterator[bytes]:
    yield event({"choices": [{"index": 0, "delta": {"role": "assistant", "content": ""}}]})
    for part in answer.parts:
        yield event({"choices": [{"index": 0, "delta": {"content": part}, "finish_reason": None}]})
    for place, (name, arguments) in enumerate(answer.calls):
        head = {"index": place, "id": f"call-{place}", "type": "function", "function": {"name": name, "arguments": ""}}
        yield event({"choices": [{"index": 0, "delta": {"tool_calls": [head]}}]})
        for half in (arguments[:3], arguments[3:]):
            more = {"index": place, "function": {"arguments": half}}
            yield event({"choices": [{"index": 0, "delta": {"tool_calls": [more]}}]})
    if answer.cut or answer.hang:
        return
    reasons = {"end": "tool_calls" if answer.calls else "stop", "length": "length", "refusal": "content_filter"}
    if answer.stop in reasons:
        yield event({"choices": [{"index": 0, "delta": {}, "finish_reason": reasons[answer.stop]}]})
    if answer.usage:
        told = {"prompt_tokens": answer.usage[0], "completion_tokens": answer.usage[1]}
        yield event({"choices": [], "usage": told})
    if answer.stop != "none":
        yield event("[DONE]")


def _anthropic(answer: Answer, question: Question) -> Iterator[bytes]:
    usage = {"input_tokens": answer.usage[0] - 30, "cache_read_input_tokens": 30} if answer.usage else {}
    yield event({"type": "message_start", "message": {"usage": usage | {"output_tokens": 1}}}, "message_start")
    yield event({"type": "ping"}, "ping")
    forced = question.body.get("tool_choice", {}).get("type") in ("tool", "any") and not answer.calls
    blocks: list[tuple[dict[str, Any], Sequence[str]]] = []
    if answer.parts and forced:
        blocks.append(({"type": "tool_use", "id": "answer-1", "name": "answer", "input": {}}, answer.parts))
    elif answer.parts:
        blocks.append(({"type": "text", "text": ""}, answer.parts))
    for place, (name, arguments) in enumerate(answer.calls):
        blocks.append(({"type": "tool_use", "id": f"call-{place}", "name": name, "input": {}}, [arguments]))
    for index, (block, parts) in enumerate(blocks):
        yield event({"type": "content_block_start", "index": index, "content_block": block}, "content_block_start")
        for part in parts:
            text = {"type": "text_delta", "text": part}
            delta = text if block["type"] == "text" else {"type": "input_json_delta", "partial_json": part}
            yield event({"type": "content_block_delta", "index": index, "delta": delta}, "content_block_delta")
        if not (answer.cut or answer.hang):
            yield event({"type": "content_block_stop", "index": index}, "content_block_stop")
    if answer.cut or answer.hang:
        return
    reasons = {"end": "tool_use" if answer.calls else "end_turn", "length": "max_tokens", "refusal": "refusal"}
    if answer.stop in reasons:
        told = {"output_tokens": answer.usage[1]} if answer.usage else {}
        delta = {"stop_reason": reasons[answer.stop]}
        yield event({"type": "message_delta", "delta": delta, "usage": told}, "message_delta")
        yield event({"type": "message_stop"}, "message_stop")


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    llm: LlmServer

    def do_POST(self) -> None:
        self.close_connection = True
        headers = {name.lower(): value for name, value in self.headers.items()}
        body = json.loads(self.rfile.read(int(headers["content-length"])))
        question = Question(shape=PATHS[self.path], headers=headers, body=body)
        answer = self.llm.take(question)
        with contextlib.suppress(ConnectionError):  # a client that has gone meanwhile
            if answer.status == 200:
                self.stream(answer, question)
            else:
                self.refuse(answer)

    def refuse(self, answer: Answer) -> None:
        self.send_response(answer.status)
        for name, value in {"Content-Length": str(len(answer.body)), "Connection": "close", **answer.headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(answer.body)

    def stream(self, answer: Answer, question: Question) -> None:
        self.send_response(200)
        kind = answer.headers.get("Content-Type", "text/event-stream; charset=utf-8")
        for name, value in {"Content-Type": kind, "Transfer-Encoding": "chunked", "Connection": "close"}.items():
            self.send_header(name, value)
        self.end_headers()
        for piece in events_of(answer, question):
            self.wfile.write(f"{len(piece):x}\r\n".encode() + piece + b"\r\n")
            self.wfile.flush()
        if answer.hang:
            self.llm.released.wait(30)
        elif not answer.cut:
            self.wfile.write(b"0\r\n\r\n")

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing: pytest shows what a failed test wants to know."""


@contextlib.contextmanager
def serve() -> Iterator[LlmServer]:
    """Run one on a free port until the block ends."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("LlmHandler", (Handler,), {}))
    llm = server.RequestHandlerClass.llm = LlmServer(server)  # type: ignore[attr-defined]  # the class made above
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield llm
    finally:
        llm.released.set()
        server.shutdown()
        thread.join()
        server.server_close()
