"""Envelope, credentials, scopes, entity tags, methods."""

import pytest

from tests.support.api import ApiClient


def test_it_works(writer):
    made = writer.post("/v1/things", {"name": "one"}).expect(201)
    assert made.headers["Location"] == "/v1/things/t1"
    assert made.json == {"data": {"id": "t1", "name": "one"}, "meta": {}}
    read = writer.get("/v1/things/t1").expect(200)
    assert read.data == made.data
    assert read.headers["ETag"] == made.headers["ETag"]
    assert read.headers["Content-Type"] == "application/json"
    listed = writer.get("/v1/things").expect(200)
    assert [row["name"] for row in listed.data] == ["one"]
    assert listed.meta == {"cursor": None, "has_more": False}


def test_it_rejects_a_call_without_credentials(nobody):
    answer = nobody.get("/v1/things").expect(401)
    assert answer.code == "not_authenticated"
    assert answer.headers["WWW-Authenticate"].startswith("Bearer")


def test_it_rejects_bad_credentials(caller):
    answer = caller("bad").get("/v1/things").expect(401)
    assert answer.code == "invalid_credentials"
    assert answer.headers["WWW-Authenticate"].startswith("Bearer")


def test_it_rejects_a_missing_scope(caller):
    answer = caller("workflows:read").post("/v1/things", {"name": "one"}).expect(403)
    assert answer.code == "permission_missing"
    assert "workflows:write" in answer.json["detail"]


def test_it_rejects_everybody_where_no_scope_is_named(caller):
    assert caller("admin").get("/v1/things/forgotten").expect(403).code == "permission_missing"


def test_any_caller_may_call_what_needs_no_scope(caller, nobody):
    assert caller("").get("/v1/things/me").expect(200).data == {"name": "test"}
    nobody.get("/v1/things/me").expect(401)


def test_a_public_view_asks_for_nothing_and_ignores_what_is_sent(caller, nobody):
    assert nobody.post("/v1/open", {}).expect(200).data == {"size": 2}
    assert caller("bad").post("/v1/open", {}).expect(200).data == {"size": 2}


def test_bare_answers_have_no_envelope_and_plain_responses_get_one(writer):
    assert writer.post("/v1/things/raw").expect(202).json == {"execution_id": "x"}
    assert writer.get("/v1/things/plain").expect(200).json == {"data": {"plain": True}, "meta": {}}


def test_a_list_that_is_whole_has_the_meta_of_lists(writer):
    writer.post("/v1/things", {"name": "one"}).expect(201)
    assert writer.get("/v1/things/names").expect(200).json == {
        "data": ["one"],
        "meta": {"cursor": None, "has_more": False},
    }


@pytest.mark.parametrize("template", ["{tag}", "*", '"other", {tag}', "W/{tag}", "{gzip}"])
def test_if_none_match_answers_304(writer, template):
    tag = writer.post("/v1/things", {"name": "one"}).headers["ETag"]
    sent = template.format(tag=tag, gzip=tag[:-1] + '-gzip"')
    answer = writer.get("/v1/things/t1", headers={"If-None-Match": sent}).expect(304)
    assert answer.body == b""
    assert answer.headers["ETag"] in sent or sent == "*"
    writer.get("/v1/things/t1", headers={"If-None-Match": '"other"'}).expect(200)


@pytest.mark.parametrize(
    ("template", "status"),
    [
        ("{tag}", 200),
        ("*", 200),
        ('"other",{tag}', 200),
        ("{gzip}", 200),
        ("W/{tag}", 412),
        ('"other"', 412),
        ("x", 412),
    ],
)
def test_if_match(writer, template, status):
    tag = writer.post("/v1/things", {"name": "one"}).headers["ETag"]
    sent = {"If-Match": template.format(tag=tag, gzip=tag[:-1] + '-gzip"')}
    answer = writer.patch("/v1/things/t1", {"name": "two"}, headers=sent).expect(status)
    assert status == 200 or answer.code == "precondition_failed"
    assert writer.get("/v1/things/t1").data["name"] == ("two" if status == 200 else "one")


def test_a_change_makes_the_old_tag_stale(writer):
    tag = writer.post("/v1/things", {"name": "one"}).headers["ETag"]
    assert writer.patch("/v1/things/t1", {"name": "two"}).headers["ETag"] != tag
    writer.delete("/v1/things/t1", headers={"If-Match": tag}).expect(412)
    assert writer.delete("/v1/things/t1").expect(204).body == b""
    writer.get("/v1/things/t1").expect(404)


def test_head_is_get_without_a_body(writer):
    writer.post("/v1/things", {"name": "one"})
    head, get = writer.request("HEAD", "/v1/things/t1").expect(200), writer.get("/v1/things/t1")
    assert head.body == b""
    assert head.headers["ETag"] == get.headers["ETag"]
    assert head.headers["Content-Length"] == str(len(get.body))


def test_options_tells_the_methods_to_anybody(nobody: ApiClient):
    answer = nobody.request("OPTIONS", "/v1/things/t1").expect(204)
    assert "Content-Type" not in answer.headers
    assert set(answer.headers["Allow"].split(", ")) == {"GET", "PATCH", "DELETE", "HEAD", "OPTIONS"}


@pytest.mark.parametrize("method", ["PUT", "POST"])
def test_it_rejects_a_method_that_the_resource_lacks(nobody, method):
    answer = nobody.request(method, "/v1/things/t1").expect(405)
    assert answer.code == "method_not_allowed"
    assert "GET" in answer.headers["Allow"]


@pytest.mark.parametrize("method", ["TRACE", "CONNECT", "PROPFIND"])
@pytest.mark.parametrize("path", ["/v1/things/t1", "/v1/nothing"])
def test_it_rejects_methods_that_nobody_knows(nobody, method, path):
    answer = nobody.request(method, path).expect(405)
    assert answer.code == "method_not_allowed"
    assert "GET" in answer.headers["Allow"]


def test_it_rejects_an_accept_that_excludes_json(writer):
    for accept in ("application/json", "*/*", "application/*;q=0.5, text/html", "text/html, */*;q=0.1"):
        writer.get("/v1/things", headers={"Accept": accept}).expect(200)
    assert writer.get("/v1/things", headers={"Accept": "text/html"}).expect(406).code == "not_acceptable"
