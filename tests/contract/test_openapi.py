"""The document of the whole API: what is served is told, and nothing else."""

import re

import pytest
from django.urls import get_resolver
from drf_spectacular.drainage import GENERATOR_STATS
from drf_spectacular.validation import validate_schema

from flowforge.api.documents import generate


@pytest.fixture(scope="module")
def document():
    return generate("flowforge.urls")


def test_it_works(document):
    validate_schema(document)
    assert not GENERATOR_STATS, (dict(GENERATOR_STATS._warn_cache), dict(GENERATOR_STATS._error_cache))


def test_every_route_under_v1_is_in_the_document(document):
    served = {shape("/" + route) for route in routes() if route.startswith("v1/")}
    assert {shape(path) for path in document["paths"]} == served


def test_every_operation_is_told_in_full(document):
    ids = set()
    for path, ops in document["paths"].items():
        for method, op in ops.items():
            where = f"{method} {path}"
            assert op["operationId"] not in ids, where
            ids.add(op["operationId"])
            assert re.fullmatch(r"[a-z0-9]+(_[a-z0-9]+)*", op["operationId"]), where
            assert op["summary"], where
            assert len(op["description"]) > len(op["summary"]), where
            assert op["tags"], where
            assert {"400", "429", "500"} <= set(op["responses"]), where
            assert any(status.startswith("2") for status in op["responses"]), where


def test_every_json_body_has_an_example(document):
    for path, ops in document["paths"].items():
        for method, op in ops.items():
            for part in (op.get("requestBody", {}), *op["responses"].values()):
                media = part.get("content", {}).get("application/json")
                assert media is None or "example" in media or media.get("examples"), f"{method} {path}"


def shape(path: str) -> str:
    """A path whatever its parameters are called."""
    return re.sub(r"[{<][^}>]+[}>]", "{}", path)


def routes(resolver=None, prefix="") -> list[str]:
    found: list[str] = []
    for entry in (resolver or get_resolver("flowforge.urls")).url_patterns:
        here = prefix + str(entry.pattern)
        found += routes(entry, here) if hasattr(entry, "url_patterns") else [here]
    return found
