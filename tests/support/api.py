"""A client of the API as tests want it: JSON in, the envelope out."""

import json
from collections.abc import Mapping
from typing import Any

from django.http import HttpResponse, StreamingHttpResponse
from django.test import Client

JSON = "application/json"


class Answer:
    """What came back: `data` and `meta` of the envelope, or the members of a problem."""

    def __init__(self, response: HttpResponse | StreamingHttpResponse) -> None:
        self.response = response
        self.status: int = response.status_code
        self.headers: Mapping[str, str] = response.headers
        self.body: bytes = response.getvalue()

    @property
    def json(self) -> Any:
        """The whole body as it stands."""
        return json.loads(self.body)

    @property
    def data(self) -> Any:
        return self.json["data"]

    @property
    def meta(self) -> Any:
        return self.json["meta"]

    @property
    def code(self) -> str:
        """The stable code of a problem (RFC 9457)."""
        assert self.headers["Content-Type"].startswith("application/problem+json"), self
        return str(self.json["code"])

    @property
    def pointers(self) -> dict[str, str]:
        """Of an invalid body: pointer -> code."""
        return {fault["pointer"]: fault["code"] for fault in self.json["errors"]}

    def expect(self, status: int) -> "Answer":
        """Itself, if it has that status; a failed test that shows the body otherwise."""
        assert self.status == status, self
        return self

    def __repr__(self) -> str:
        return f"<{self.status} {self.body[:2000].decode('utf-8', 'replace')}>"


class ApiClient:
    """One caller. `client.get("/v1/runs", status="failed").data`, `client.post("/v1/workflows", {…}).expect(201)`."""

    def __init__(self, headers: Mapping[str, str] | None = None) -> None:
        self.headers = dict(headers or {})
        self._client = Client()

    def get(self, path: str, /, *, headers: Mapping[str, str] | None = None, **query: Any) -> Answer:
        return self.request("GET", path, headers=headers, query=query)

    def post(self, path: str, body: Any = None, /, *, headers: Mapping[str, str] | None = None, **query: Any) -> Answer:
        return self.request("POST", path, body, headers=headers, query=query)

    def put(self, path: str, body: Any = None, /, *, headers: Mapping[str, str] | None = None, **query: Any) -> Answer:
        return self.request("PUT", path, body, headers=headers, query=query)

    def patch(
        self, path: str, body: Any = None, /, *, headers: Mapping[str, str] | None = None, **query: Any
    ) -> Answer:
        return self.request("PATCH", path, body, headers=headers, query=query)

    def delete(self, path: str, /, *, headers: Mapping[str, str] | None = None, **query: Any) -> Answer:
        return self.request("DELETE", path, headers=headers, query=query)

    def request(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        headers: Mapping[str, str] | None = None,
        query: Mapping[str, Any] | None = None,
        content_type: str = JSON,
    ) -> Answer:
        """Any method. A body of bytes goes out as it is (broken JSON, YAML, forms); anything else as JSON."""
        raw = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
        response = self._client.generic(
            method,
            path,
            raw,
            content_type=content_type if raw else "",
            headers={**self.headers, **(headers or {})},
            query_params=dict(query or {}),
        )
        return Answer(response)
