"""Clients that cost little: one kept-alive connection, JSON in and out. None is to be shared by threads."""

import http.client
import json
import time
from collections.abc import Mapping
from typing import Any

KEY = "bench-key-of-at-least-16-characters"
IDLE_SECONDS = 2.0  # after so much rest a connection is made anew: servers close those that rest (uvicorn: after 5 s)
LOOK_SECONDS = 0.02  # between two looks whether runs have ended: seldom enough to cost the server little


class Connection:
    """A caller of any JSON API on this machine."""

    def __init__(self, port: int, headers: Mapping[str, str] | None = None) -> None:
        self.port = port
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
        self._used_at = 0.0
        self._headers = {"Content-Type": "application/json", **(headers or {})}

    def call(self, method: str, path: str, body: Any = None) -> Any:
        """The answer's JSON. Raises RuntimeError on any status of 400 or more."""
        if time.monotonic() - self._used_at > IDLE_SECONDS:
            self._connection.close()
        payload = None if body is None else json.dumps(body)
        self._connection.request(method, path, payload, self._headers)
        answer = self._connection.getresponse()
        text = answer.read()
        self._used_at = time.monotonic()
        if answer.status >= 400:
            raise RuntimeError(f"{method} {path}: {answer.status} {text[:500]!r}")
        return json.loads(text) if text else None

    def close(self) -> None:
        self._connection.close()


class Client(Connection):
    """A caller of FlowForge, with the key of the benchmark's project."""

    def __init__(self, port: int) -> None:
        super().__init__(port, {"X-API-KEY": KEY})

    def allow(self, *step_types: str) -> None:
        """Add step types to those of the key's project."""
        project = self.call("GET", "/v1/projects")["data"][0]
        settings = project["settings"]
        allowed = sorted({*settings["allowed_step_types"], *step_types})
        self.call("PATCH", f"/v1/projects/{project['id']}", {"settings": settings | {"allowed_step_types": allowed}})

    def create(self, name: str, definition: Mapping[str, Any]) -> str:
        found: str = self.call("POST", "/v1/workflows", {"name": name, "definition": definition})["data"]["id"]
        return found

    def start(self, workflow: str, **options: Any) -> Any:
        return self.call("POST", f"/v1/workflows/{workflow}:run", {"inputs": {}, **options})["data"]

    def ended(self, workflow: str) -> int:
        """How many runs of the workflow have completed."""
        page = self.call("GET", f"/v1/runs?workflow_id={workflow}&status=completed&page=1&limit=1")
        return int(page["meta"]["total"])

    def wait_until_all_ended(self, workflow: str, count: int, timeout: float = 120) -> None:
        """Until `count` runs of the workflow have completed."""
        deadline = time.monotonic() + timeout
        while self.ended(workflow) < count:
            if time.monotonic() > deadline:
                raise RuntimeError(f"not all of {count} runs ended within {timeout} s")
            time.sleep(LOOK_SECONDS)
