"""A client that costs little: one kept-alive connection, JSON in and out."""

import http.client
import json
import time
from collections.abc import Mapping
from typing import Any

KEY = "bench-key-of-at-least-16-characters"


class Client:
    """Not safe between threads: each caller has its own."""

    def __init__(self, port: int) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)

    def call(self, method: str, path: str, body: Any = None) -> Any:
        """The answer's JSON. Raises RuntimeError on any status of 400 or more."""
        payload = None if body is None else json.dumps(body)
        headers: Mapping[str, str] = {"X-API-KEY": KEY, "Content-Type": "application/json"}
        self._connection.request(method, path, payload, dict(headers))
        answer = self._connection.getresponse()
        text = answer.read()
        if answer.status >= 400:
            raise RuntimeError(f"{method} {path}: {answer.status} {text[:500]!r}")
        return json.loads(text)

    def close(self) -> None:
        self._connection.close()

    def allow(self, step_type: str) -> None:
        """Add a step type to those of the key's project."""
        project = self.call("GET", "/v1/projects")["data"][0]
        settings = project["settings"]
        allowed = sorted({*settings["allowed_step_types"], step_type})
        self.call("PATCH", f"/v1/projects/{project['id']}", {"settings": settings | {"allowed_step_types": allowed}})

    def create(self, name: str, definition: Mapping[str, Any]) -> str:
        found: str = self.call("POST", "/v1/workflows", {"name": name, "definition": definition})["data"]["id"]
        return found

    def start(self, workflow: str, **options: Any) -> Any:
        return self.call("POST", f"/v1/workflows/{workflow}:run", {"inputs": {}, **options})["data"]

    def wait_until_all_ended(self, workflow: str, count: int, timeout: float = 120) -> None:
        """Until `count` runs of the workflow have completed; looks every few milliseconds."""
        deadline = time.monotonic() + timeout
        while time.monotonic() < deadline:
            metrics = self.call("GET", f"/v1/runs?workflow_id={workflow}&status=completed&page=1&limit=1")["meta"]
            if metrics["total"] >= count:
                return
            time.sleep(0.005)
        raise RuntimeError(f"not all of {count} runs ended within {timeout} s")
