"""The OpenAPI document: valid, complete, without warnings; its pages work without internet."""

import re

import pytest
import yaml
from django.contrib.staticfiles import finders
from django.test import override_settings
from drf_spectacular.drainage import GENERATOR_STATS
from drf_spectacular.validation import validate_schema

from flowforge.api.documents import generate

STATIC = re.compile(r'(?:src|href)="(/static/[^"]+)"')


@pytest.fixture
def document():
    return generate("tests.apps.api.kit")


def operation(document, path, method="get"):
    return document["paths"][path][method]


def test_it_works(document):
    validate_schema(document)
    assert document["openapi"].startswith("3.1")
    assert not GENERATOR_STATS, GENERATOR_STATS._warn_cache
    assert set(document["paths"]) == {
        "/v1/things",
        "/v1/things/me",
        "/v1/things/dialect",
        "/v1/things/names",
        "/v1/things/raw",
        "/v1/things/big",
        "/v1/things/plain",
        "/v1/things/fail",
        "/v1/things/forgotten",
        "/v1/things/{id}:run",
        "/v1/things/{id}",
        "/v1/open",
    }


def test_operations_have_stable_ids(document):
    found = {(path, method): op["operationId"] for path, ops in document["paths"].items() for method, op in ops.items()}
    assert found["/v1/things", "get"] == "things_list"
    assert found["/v1/things", "post"] == "things_create"
    assert found["/v1/things/{id}", "get"] == "things_retrieve"
    assert found["/v1/things/{id}", "patch"] == "things_partial_update"
    assert found["/v1/things/{id}", "delete"] == "things_destroy"
    assert found["/v1/things/{id}:run", "post"] == "things_run"
    assert len(set(found.values())) == len(found)


def test_success_is_enveloped_save_where_it_is_bare(document):
    one = operation(document, "/v1/things/{id}")["responses"]["200"]
    media = one["content"]["application/json"]
    assert media["schema"]["required"] == ["data", "meta"]
    assert set(media["example"]) == {"data", "meta"}
    assert media["example"]["data"]["name"] == "text"
    assert "ETag" in one["headers"]
    many = operation(document, "/v1/things")["responses"]["200"]["content"]["application/json"]["schema"]
    assert many["properties"]["data"]["type"] == "array"
    assert many["properties"]["meta"] == {"$ref": "#/components/schemas/ListMeta"}
    bare = operation(document, "/v1/things/raw", "post")["responses"]["202"]["content"]["application/json"]["schema"]
    assert "data" not in bare.get("properties", {})


def test_every_operation_tells_its_errors_and_headers(document):
    for path, operations in document["paths"].items():
        for op in operations.values():
            assert {"400", "429", "500"} <= set(op["responses"])
            assert ("404" in op["responses"]) == ("{" in path)
            assert ("401" in op["responses"]) == (path != "/v1/open")
            for status, response in op["responses"].items():
                if status.startswith("2"):
                    assert {"X-Trace-Id", "X-RateLimit-Remaining"} <= set(response["headers"])
    create = operation(document, "/v1/things", "post")
    assert {"201", "409", "413", "415", "422"} <= set(create["responses"])
    assert "Location" in create["responses"]["201"]["headers"]
    assert "412" in operation(document, "/v1/things/{id}", "patch")["responses"]


def test_bodies_take_no_other_fields_and_answers_may_grow(document):
    schemas = document["components"]["schemas"]
    assert schemas["ThingRequest"]["additionalProperties"] is False
    assert schemas["PartRequest"]["additionalProperties"] is False
    assert "additionalProperties" not in schemas["Thing"]


def test_parameters_are_those_that_the_server_takes(document):
    def names(path, method="get"):
        return {entry["name"] for entry in operation(document, path, method)["parameters"]}

    assert names("/v1/things") == {"limit", "cursor", "page", "name", "least", "traceparent"}
    assert names("/v1/things/fail") == {"how", "traceparent"}
    assert names("/v1/things", "post") == {"Idempotency-Key", "traceparent"}
    assert names("/v1/things/{id}", "patch") == {"id", "If-Match", "traceparent"}


def test_scopes_are_security_requirements(document):
    assert operation(document, "/v1/things")["security"] == [
        {"bearer": ["workflows:read"]},
        {"apiKey": ["workflows:read"]},
    ]
    assert operation(document, "/v1/things/me")["security"] == [{"bearer": []}, {"apiKey": []}]
    assert operation(document, "/v1/open", "post")["security"] == [{}]


@pytest.mark.parametrize(
    ("sent", "query", "kind"),
    [
        ("*/*", {}, "json"),
        ("application/json", {}, "json"),
        ("application/yaml", {}, "yaml"),
        ("application/vnd.oai.openapi+json", {}, "json"),
        ("text/html,*/*", {}, "json"),
        ("application/json", {"format": "yaml"}, "yaml"),
        ("application/yaml", {"format": "json"}, "json"),
    ],
)
@override_settings(ROOT_URLCONF="flowforge.urls")
def test_the_document_is_served_in_both_forms(nobody, sent, query, kind):
    answer = nobody.get("/v1/schema", headers={"Accept": sent}, **query).expect(200)
    assert answer.headers["Content-Type"] == f"application/{kind}"
    document = answer.json if kind == "json" else yaml.safe_load(answer.body)
    assert document["info"]["title"] == "FlowForge"
    nobody.get("/v1/schema", headers={"Accept": sent, "If-None-Match": answer.headers["ETag"]}, **query).expect(304)


@override_settings(ROOT_URLCONF="flowforge.urls")
def test_it_rejects_another_form(nobody):
    assert nobody.get("/v1/schema", format="xml").expect(400).code == "invalid_query"


@override_settings(ROOT_URLCONF="flowforge.urls")
def test_the_pages_need_nothing_from_elsewhere(nobody):
    page = nobody.get("/v1/docs", headers={"Accept": "text/html"}).expect(200)
    assert "default-src 'none'" in page.headers["Content-Security-Policy"]
    text = page.body.decode()
    assert "//" not in text.replace("<!--", "")
    found = STATIC.findall(text)
    assert len(found) == 4
    for path in found:
        assert finders.find(path.removeprefix("/static/")), path
