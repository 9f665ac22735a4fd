"""What may come in: strict JSON, known fields, bounded sizes. What goes out: gzip."""

import gzip
import io

import pytest
from django.http import HttpRequest, HttpResponse
from django.urls import resolve

from flowforge.api.middleware import ApiMiddleware
from tests.support.api import Answer

MIB = 1024 * 1024


def test_it_works(writer):
    thing = {"name": "one", "tags": ["a"], "parts": [{"name": "p", "size": 2}], "main": {"name": "m"}}
    assert writer.post("/v1/things", thing).expect(201).data == {"id": "t1", **thing}


@pytest.mark.parametrize(
    "raw",
    [
        b'{"name": "a", "name": "b"}',
        b'{"name": "\\u0000"}',
        b'{"name": "\\ud800"}',
        b'{"name": NaN}',
        b'{"name": Infinity}',
        b'{"name": -Infinity}',
        b'{"name": 1e999}',
        b'{"name": 123456789012345678901234567890}',
        b"[" * 65 + b"]" * 65,
        b'{"name": "\xff"}',
        '{"name": "a"}'.encode("utf-16"),
        b"\xef\xbb\xbf{}",
        b"{",
        b'{"name": "a"} x',
        b"{'name': 1}",
        b"   ",
        b"",
    ],
)
def test_it_rejects_what_is_not_strict_json(writer, raw):
    answer = writer.request("POST", "/v1/things", raw).expect(400)
    assert answer.code == "malformed_request"


@pytest.mark.parametrize("raw", [b"[]", b"null", b'"text"', b"3"])
def test_it_rejects_a_body_that_is_no_object(writer, raw):
    assert writer.request("POST", "/v1/things", raw).expect(422).pointers == {"": "invalid"}


@pytest.mark.parametrize(
    "content_type",
    [
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "application/xml",
        "nonsense",
    ],
)
def test_it_rejects_other_media_types(writer, content_type):
    answer = writer.request("POST", "/v1/things", b'{"name": "a"}', content_type=content_type).expect(415)
    assert answer.code == "unsupported_media_type"


@pytest.mark.parametrize(
    "content_type", ["application/json; charset=UTF-8", "Application/JSON", 'application/json;charset="utf-8"']
)
def test_json_may_name_its_charset(writer, content_type):
    writer.request("POST", "/v1/things", b'{"name": "a"}', content_type=content_type).expect(201)


@pytest.mark.parametrize("charset", ["utf-16", "latin-1", '"utf-32"', "bz2_codec"])
def test_it_rejects_other_charsets(writer, charset):
    content_type = f"application/json; charset={charset}"
    answer = writer.request("POST", "/v1/things", b'{"name": "a"}', content_type=content_type).expect(400)
    assert answer.code == "malformed_request"


@pytest.mark.parametrize(("coding", "status"), [("gzip", 415), ("br, gzip", 415), ("identity", 201), ("Identity", 201)])
def test_it_rejects_bodies_that_were_coded_on_their_way(writer, coding, status):
    answer = writer.post("/v1/things", {"name": "a"}, headers={"Content-Encoding": coding}).expect(status)
    assert status == 201 or answer.headers["Accept-Encoding"] == "identity"


def test_it_rejects_every_fault_at_once_and_by_pointer(writer):
    answer = writer.post(
        "/v1/things",
        {
            "name": "much too long a name",
            "naem": "x",
            "id": "mine",
            "tags": ["ok", "too long"],
            "parts": [{"name": "p"}, {"size": 0, "a/b~c": 1}],
            "main": 3,
        },
    ).expect(422)
    assert answer.code == "invalid"
    assert answer.pointers == {
        "/name": "max_length",
        "/naem": "unknown_field",
        "/id": "unknown_field",
        "/tags/1": "max_length",
        "/parts/1/name": "required",
        "/parts/1/size": "min_value",
        "/parts/1/a~1b~0c": "unknown_field",
        "/main": "invalid",
    }


def test_it_rejects_numbers_for_texts_and_texts_for_numbers(writer):
    thing = {"name": 1, "tags": ["ok", 2.5, "too long"], "parts": [{"name": "p", "size": "3"}], "main": {"name": True}}
    assert writer.post("/v1/things", {**thing, "naem": 1}).expect(422).pointers == {
        "/name": "invalid",
        "/naem": "unknown_field",
        "/tags/1": "invalid",
        "/tags/2": "max_length",
        "/parts/0/size": "invalid",
        "/main/name": "invalid",
    }
    whole = {"name": "one", "parts": [{"name": "p", "size": 3.0}]}  # JSON has one kind of number
    assert writer.post("/v1/things", whole).expect(201).data["parts"] == [{"name": "p", "size": 3}]


def test_a_patch_needs_no_required_field_but_refuses_unknown_ones(writer):
    writer.post("/v1/things", {"name": "one"})
    writer.patch("/v1/things/t1", {"tags": []}).expect(200)
    assert writer.patch("/v1/things/t1", {"tag": []}).expect(422).pointers == {"/tag": "unknown_field"}


def test_it_rejects_a_body_over_the_limit(writer, nobody):
    assert writer.request("POST", "/v1/things", b" " * (MIB + 1)).expect(413).code == "body_too_large"
    assert nobody.request("POST", "/v1/open", b"[]" + b" " * MIB).expect(200).data == {"size": MIB + 2}
    nobody.request("POST", "/v1/open", b" " * (2 * MIB + 1)).expect(413)


class Endless:
    """The stream of a chunked body, which declares no length; it never ends."""

    taken = 0

    def read(self, size: int = -1) -> bytes:
        assert size >= 0, "must not be read without a bound"
        self.taken += size
        return b" " * size


@pytest.mark.parametrize("declared", [None, "", "17", "-1", "nonsense"])
def test_it_rejects_a_body_over_the_limit_that_declares_another_length(declared):
    request = HttpRequest()
    request.method, request.path = "POST", "/v1/open"
    request.META = {} if declared is None else {"CONTENT_LENGTH": declared}
    request._stream = Endless()
    view = resolve("/v1/open", urlconf="tests.apps.api.kit").func
    answer = Answer(ApiMiddleware(lambda _: HttpResponse()).process_view(request, view, (), {}))
    assert answer.expect(413).code == "body_too_large"
    assert request._stream.taken == 2 * MIB + 1


def test_a_chunked_body_is_read_though_it_declares_no_length():
    request = HttpRequest()
    request.method, request.path = "POST", "/v1/things"
    request.META = {
        "CONTENT_TYPE": "application/json",
        "HTTP_HOST": "localhost",
        "HTTP_X_TEST_CALLER": "workflows:write",
    }
    request._stream = io.BytesIO(b'{"name": "much too long"}')
    view = resolve("/v1/things", urlconf="tests.apps.api.kit").func
    assert ApiMiddleware(lambda _: HttpResponse()).process_view(request, view, (), {}) is None
    assert Answer(view(request)).expect(422).pointers == {"/name": "max_length"}


def test_it_rejects_a_body_that_the_server_stopped_reading():
    """flowforge/asgi.py marks what is larger than anything that is taken."""
    request = HttpRequest()
    request.method, request.path = "POST", "/v1/things"
    request.META = {"flowforge.body_too_large": True}
    view = resolve("/v1/things", urlconf="tests.apps.api.kit").func
    Answer(ApiMiddleware(lambda _: HttpResponse()).process_view(request, view, (), {})).expect(413)


@pytest.mark.parametrize(
    ("accepted", "coded"),
    [
        ("gzip", True),
        ("br, gzip;q=0.5", True),
        ("*", True),
        ("GZIP", True),
        ("gzip;q=0", False),
        ("*, gzip;q=0", False),
        ("br", False),
        ("", False),
    ],
)
def test_large_answers_are_compressed_on_request(writer, accepted, coded):
    plain = writer.get("/v1/things/big").expect(200)
    answer = writer.get("/v1/things/big", headers={"Accept-Encoding": accepted}).expect(200)
    assert "Accept-Encoding" in answer.headers["Vary"]
    assert answer.headers.get("Content-Encoding") == ("gzip" if coded else None)
    assert (gzip.decompress(answer.body) if coded else answer.body) == plain.body
    assert answer.headers["Content-Length"] == str(len(answer.body))
    if coded:
        # another representation, another strong tag; both are good for conditions
        assert answer.headers["ETag"] == plain.headers["ETag"][:-1] + '-gzip"'
        sent = {"If-None-Match": answer.headers["ETag"]}
        assert writer.get("/v1/things/big", headers=sent).expect(304).headers["ETag"] == answer.headers["ETag"]


def test_small_answers_are_not_compressed(writer):
    answer = writer.get("/v1/things/me", headers={"Accept-Encoding": "gzip"}).expect(200)
    assert "Content-Encoding" not in answer.headers


def test_answers_say_that_they_are_private(writer):
    writer.post("/v1/things", {"name": "one"})
    tagged, listed = writer.get("/v1/things/t1"), writer.get("/v1/things")
    assert tagged.headers["Cache-Control"] == "private, no-cache"
    assert listed.headers["Cache-Control"] == "no-store"
    for answer in (tagged, listed):
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["Referrer-Policy"] == "same-origin"
