"""Templates and the nodes that they make, to test with."""

from collections.abc import Callable, Mapping
from typing import Any, Final

import pytest

from tests.support.api import Answer, ApiClient

HTTP: Final[Mapping[str, Any]] = {
    "name": "Fetch orders",
    "step_type": "http",
    "config": {
        "method": "GET",
        "url": "https://shop.example/orders/{{ parameters.day }}",
        "query": {"limit": "{{ parameters.limit }}"},
    },
    "parameters": {
        "type": "object",
        "required": ["day"],
        "properties": {"day": {"type": "string"}, "limit": {"type": "integer", "default": 100}},
    },
}


@pytest.fixture
def template(client: ApiClient) -> dict[str, Any]:
    """A template of an http step."""
    made: dict[str, Any] = client.post("/v1/templates", HTTP).expect(201).data
    return made


@pytest.fixture
def node(template: Mapping[str, Any]) -> Callable[..., dict[str, Any]]:
    """`node(day="{{ inputs.day }}")`: a node of that template with these parameters."""

    def make(**parameters: Any) -> dict[str, Any]:
        return {"id": "fetch", "template_id": template["id"], "config": {"parameters": parameters}}

    return make


@pytest.fixture
def save(client: ApiClient) -> Callable[..., Answer]:
    """`save({…}, {…})`: create a workflow of these nodes."""

    def post(*nodes: Mapping[str, Any], **more: Any) -> Answer:
        return client.post("/v1/workflows", {"name": "With templates", "nodes": list(nodes), "edges": [], **more})

    return post
