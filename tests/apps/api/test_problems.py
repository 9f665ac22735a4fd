"""Every failure is a problem: whoever raised it, wherever."""

import pytest
from django.test import Client, override_settings

from flowforge.api import catalogue, problems
from tests.support.api import Answer, ApiClient

MEMBERS = {"type", "title", "status", "detail", "instance", "code", "trace_id"}


def quiet(path: str, method: str = "GET", **headers: str) -> Answer:
    """As a server sees it: the test client would raise what a view raised."""
    client = Client(raise_request_exception=False)
    return Answer(client.generic(method, path, headers=headers))


def test_it_works(nobody):
    answer = nobody.get("/v1/nothing").expect(404)
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert set(answer.json) == MEMBERS
    assert answer.json["type"] == "/v1/problems/not_found"
    assert answer.json["instance"] == "/v1/nothing"
    assert answer.json["status"] == 404
    assert answer.json["trace_id"] == answer.headers["X-Trace-Id"]
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize(
    ("path", "instance"),
    [("/v1/caf%C3%A9", "/v1/caf%C3%A9"), ("/v1/a%22%5C%20b", "/v1/a%22%5C%20b"), ("/v1/x:run;y=1", "/v1/x:run;y=1")],
)
def test_the_instance_is_a_uri_reference(nobody, path, instance):
    assert nobody.get(path).expect(404).json["instance"] == instance


@pytest.mark.parametrize("debug", [True, False])
@pytest.mark.parametrize("path", ["/", "/v1", "/v1/", "/v1//things", "/v1/things/", "/api/v1/x", "/favicon.ico"])
def test_it_rejects_unknown_routes_without_html(nobody, path, debug):
    with override_settings(DEBUG=debug):
        assert nobody.get(path).expect(404).code == "not_found"


@pytest.mark.parametrize("debug", [True, False])
def test_it_rejects_with_500_what_nobody_foresaw_and_says_nothing_of_it(caller, caplog, debug):
    with override_settings(DEBUG=debug):
        answer = caller("").get("/v1/things/fail", how="surprise").expect(500)
    assert answer.code == "internal_error"
    assert b"secret" not in answer.body
    assert b"Traceback" not in answer.body
    assert "secret detail" in caplog.text  # but the log has it


@pytest.mark.parametrize("debug", [True, False])
def test_it_rejects_with_500_what_fails_outside_the_kit(debug):
    with override_settings(DEBUG=debug):
        answer = quiet("/v1/explode").expect(500)
    assert answer.code == "internal_error"
    assert b"secret" not in answer.body
    assert answer.headers["X-RateLimit-Limit"]


@pytest.mark.parametrize(
    ("how", "status", "code"),
    [
        ("lost", 503, "unavailable"),
        ("locked", 503, "unavailable"),
        ("defect", 500, "internal_error"),
        ("missing", 404, "not_found"),
    ],
)
def test_database_failures(caller, how, status, code):
    answer = caller("").get("/v1/things/fail", how=how).expect(status)
    assert answer.code == code
    assert ("Retry-After" in answer.headers) == (status == 503)


def test_it_rejects_a_host_that_is_not_ours():
    assert quiet("/v1/things", Host="evil.example").expect(400).code == "malformed_request"
    assert quiet("/v1/things", Host="bad host").expect(400).code == "malformed_request"


def test_it_rejects_a_nul_in_the_path(nobody):
    assert nobody.get("/v1/things/a%00b").expect(400).code == "malformed_request"


def test_a_catalogue_names_every_code_once():
    entries = catalogue.entries()
    codes = [entry["code"] for entry in entries]
    assert len(codes) == len(set(codes))
    assert {"invalid", "rate_limited", "internal_error", "idempotency_key_reused"} <= set(codes)
    assert all(entry["title"] and 400 <= entry["status"] < 600 for entry in entries)


@override_settings(ROOT_URLCONF="flowforge.urls")
def test_each_problem_type_has_its_page(db):
    for entry in catalogue.entries():
        answer = ApiClient().get(problems.TYPE_BASE + entry["code"]).expect(200)
        assert answer.data["code"] == entry["code"]
        assert answer.data["description"]
    assert ApiClient().get(problems.TYPE_BASE + "nonsense").expect(404).code == "not_found"
    listed = ApiClient().get("/v1/problems", limit=100).expect(200)
    assert listed.data == catalogue.entries()
