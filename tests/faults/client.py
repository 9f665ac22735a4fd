"""A client as patient as a good one, and the history that it keeps (after Jepsen's set test).

Every request ends as `ok` (the server said so), `refused` (it said no, or nobody heard) or `unknown` (cut off).
"""

import http.client
import json
import threading
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from tests.bench.client import KEY

Word = Literal["ok", "refused", "unknown"]
TIMEOUT_SECONDS = 20.0


@dataclass(frozen=True, kw_only=True)
class Answer:
    status: int
    body: Any
    headers: Mapping[str, str] = field(default_factory=dict)  # by names in lower case

    @property
    def data(self) -> Any:
        return self.body["data"]

    @property
    def retry_after(self) -> str | None:
        return self.headers.get("retry-after")

    @property
    def limit(self) -> int:
        """Calls that the tightest rate limit of this request allows."""
        return int(self.headers.get("x-ratelimit-limit", 0))


class Unheard(Exception):
    """Nobody was there: the request was not sent."""


class CutOff(Exception):
    """The request was sent, the answer did not come, or only half of it."""


class Caller:
    """One connection after the other. Not to be shared by threads."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._connection: http.client.HTTPConnection | None = None

    def ask(self, method: str, path: str, body: Any = None, *, key: str | None = None) -> Answer:
        """Raises Unheard or CutOff; the next call connects anew."""
        headers = {"X-API-KEY": KEY, "Content-Type": "application/json"}
        if key is not None:
            headers["Idempotency-Key"] = key
        connection = self._connected()
        try:
            connection.request(method, path, None if body is None else json.dumps(body), headers)
            answer = connection.getresponse()
            text = answer.read()
            return Answer(
                status=answer.status,
                body=json.loads(text) if text else None,
                headers={name.lower(): value for name, value in answer.getheaders()},
            )
        except (OSError, http.client.HTTPException, ValueError) as error:
            self.close()
            raise CutOff(repr(error)) from error

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _connected(self) -> http.client.HTTPConnection:
        if self._connection is None:
            connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=TIMEOUT_SECONDS)
            try:
                connection.connect()
            except OSError as error:
                raise Unheard(repr(error)) from error
            self._connection = connection
        return self._connection


@dataclass(frozen=True, kw_only=True)
class Offered:
    """One run that a client has asked for, and what it was told in the end."""

    token: str
    number: int
    word: Word
    run_id: str | None
    asked: int  # requests that it took
    seconds: float
    statuses: tuple[int, ...] = ()


@dataclass
class History:
    """What all clients were told. Threads write to it."""

    offered: list[Offered] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def add(self, offered: Offered) -> None:
        with self._lock:
            self.offered.append(offered)

    def having(self, word: Word) -> list[Offered]:
        with self._lock:
            return [each for each in self.offered if each.word == word]


def start_run(
    caller: Caller, workflow: str, body: dict[str, Any], *, patience: float, stopped: Callable[[], bool] = lambda: False
) -> tuple[Word, str | None, tuple[int, ...]]:
    """Ask until there is an answer that stands, always with the same Idempotency-Key, at most for `patience` s.

    A refusal stands, and so does silence as long as every request before was refused or unheard: then the run was
    not accepted. Once one request was cut off, or answered with 5xx, only a yes can settle it.
    """
    key, unsure, statuses = uuid.uuid4().hex, False, []
    deadline = time.monotonic() + patience
    while True:
        try:
            answer = caller.ask("POST", f"/v1/workflows/{workflow}:run", body, key=key)
        except Unheard:
            statuses.append(0)
        except CutOff:
            statuses.append(-1)
            unsure = True
        else:
            statuses.append(answer.status)
            if answer.status in (200, 202):
                return "ok", answer.data["id"], tuple(statuses)
            unsure = unsure or answer.status >= 500
            if answer.status not in (409, 429) and answer.status < 500:
                return ("unknown" if unsure else "refused"), None, tuple(statuses)
        if time.monotonic() > deadline or stopped():
            return ("unknown" if unsure else "refused"), None, tuple(statuses)
        time.sleep(0.25)
