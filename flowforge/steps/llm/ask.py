"""One call of a model: sent, read as it streams, and told in the log."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Final

from flowforge.core import clock, json
from flowforge.core.egress import ConnectionFailed, EgressCancelled, EgressError, Outgoing, Streamed, egress
from flowforge.steps.base import CancelToken, Failed, LogLevel, StepCancelled
from flowforge.steps.llm.exchange import Provider, Question, Reply, ReplyFailed, failure
from flowforge.steps.llm.failures import of_status
from flowforge.steps.llm.lines import Lines
from flowforge.steps.llm.sse import EventTooLarge, events

MAX_BYTES: Final = 16 * 1024 * 1024  # of a stream: every few characters come in an envelope of their own
MAX_ERROR_BYTES: Final = 64 * 1024


@dataclass(frozen=True, kw_only=True)
class Line:
    """Where a provider is reached, and how."""

    provider: Provider
    base_url: str
    key: str
    allow: tuple[str, ...]  # private targets
    cancel: CancelToken
    log: Callable[[LogLevel, str], None]
    traceparent: str

    def ask(self, question: Question, seconds: float) -> Reply:
        """Raises ReplyFailed, StepCancelled."""
        lines = Lines(self.log, self.key)
        try:
            with egress(self.allow).stream(self._outgoing(question, seconds), self.cancel) as answer:
                return self._read(answer, question, lines)
        except EgressCancelled:
            raise StepCancelled(self.cancel.reason) from None
        except EgressError as error:
            failed = Failed(code=error.code, message=self.masked(str(error)), retryable=error.retryable)
        except ReplyFailed as error:
            failed = replace(error.failed, message=self.masked(error.failed.message))
        finally:
            lines.finish()
        raise ReplyFailed(failed)

    def masked(self, text: str) -> str:
        """A provider that refuses a key may quote it."""
        return text.replace(self.key, "***") if self.key else text

    def _outgoing(self, question: Question, seconds: float) -> Outgoing:
        headers = {"content-type": "application/json", "accept": "text/event-stream"}
        if self.traceparent:
            headers["traceparent"] = self.traceparent
        return Outgoing(
            method="POST",
            url=self.base_url.rstrip("/") + self.provider.path(),
            headers=headers | self.provider.headers(self.key),
            body=json.dumps(self.provider.body(question)),
            timeout_seconds=seconds,
            max_bytes=MAX_BYTES,
        )

    def _read(self, answer: Streamed, question: Question, lines: Lines) -> Reply:
        if answer.status != 200:
            raise ReplyFailed(of_status(answer.status, answer.headers, _beginning(answer.chunks), clock.now()))
        if not answer.headers.get("content-type", "").lower().startswith("text/event-stream"):
            raise failure("invalid_response", "The provider's answer is no stream of events.")
        reader = self.provider.reader(question)
        try:
            for event in events(answer.chunks):
                lines.feed(reader.feed(event))
        except ConnectionFailed as error:
            raise failure("stream_broken", f"The stream broke off: {error}") from None
        except EventTooLarge:
            raise failure("response_too_large", "An event is larger than can be read.", retryable=False) from None
        return reader.finish()


def _beginning(chunks: Iterator[bytes]) -> bytes:
    """Of a body that only tells an error."""
    found = bytearray()
    try:
        for chunk in chunks:
            found += chunk
            if len(found) > MAX_ERROR_BYTES:
                break
    except ConnectionFailed:
        pass  # the status says enough
    return bytes(found[:MAX_ERROR_BYTES])
