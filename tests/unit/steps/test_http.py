"""http: a call as a step. What the guarded client refuses: tests/unit/core/test_egress.py."""

import threading
from pathlib import Path
from typing import Any

import pytest

from flowforge.steps.base import Completed, Failed, StepCancelled
from flowforge.steps.http import Http
from flowforge.steps.http_answer import retry_after
from tests.support.http_stub import HttpStub
from tests.support.steps import NOW, Attempt


@pytest.fixture
def attempt(tmp_path: Path) -> Attempt:
    return Attempt(home=tmp_path)


def fail(attempt: Attempt, **config: Any) -> Failed:
    outcome = attempt.run(Http(), config)
    assert isinstance(outcome, Failed)
    return outcome


def complete(attempt: Attempt, **config: Any) -> Any:
    outcome = attempt.run(Http(), config)
    assert isinstance(outcome, Completed)
    return outcome.output


def test_it_works(attempt: Attempt, stub: HttpStub) -> None:
    attempt.traceparent = "00-1-2-01"
    stub.reply(json={"total": 3}, headers={"X-Kind": "order"})
    query = {"b": [1, True, None], "c": "ä&", "d": None}
    output = complete(attempt, url=f"{stub.url}/orders?a=1#part", query=query, headers={"X-Number": 3, "X-None": None})
    assert (output["status"], output["json"], output["headers"]["x-kind"]) == (200, {"total": 3}, "order")
    (asked,) = stub.asked
    assert (asked.method, asked.path, asked.body) == ("GET", "/orders", b"")
    assert asked.query == {"a": ["1"], "b": ["1", "true"], "c": ["ä&"]}
    assert (asked.headers["x-number"], asked.headers["traceparent"]) == ("3", "00-1-2-01")
    assert asked.headers.keys().isdisjoint({"x-none", "idempotency-key"})


@pytest.mark.parametrize(
    ("config", "pointer", "code"),
    [
        ({"json": 1, "body": "x"}, "/body", "one_of"),
        ({"headers": {"Host": "other"}}, "/headers/Host", "reserved_header"),
        ({"headers": {"content-length": "5"}}, "/headers/content-length", "reserved_header"),
        ({"timeout": "soon"}, "/timeout", "invalid_timeout"),
        ({"timeout": 0}, "/timeout", "invalid_timeout"),
        ({"url": "ftp://example.com/x"}, "/url", "invalid_url"),
        ({"url": "example.com/x"}, "/url", "invalid_url"),
        ({"url": "https://"}, "/url", "invalid_url"),
        ({"url": "https://user:pass@example.com"}, "/url", "invalid_url"),
    ],
)
def test_it_rejects_a_bad_config(config: dict[str, Any], pointer: str, code: str) -> None:
    (fault,) = Http().check({"url": "https://example.com", **config})
    assert (fault.pointer, fault.code) == (pointer, code)


@pytest.mark.parametrize("config", [{"headers": {"Host": "other"}}, {"timeout": "soon"}])
def test_it_rejects_rendered_values_too(attempt: Attempt, stub: HttpStub, config: dict[str, Any]) -> None:
    outcome = fail(attempt, url=stub.url, **config)
    assert (outcome.code, outcome.retryable) == ("invalid_config", False)
    assert stub.asked == []


@pytest.mark.parametrize(
    ("config", "body", "content_type"),
    [
        ({"json": {"a": [1]}}, b'{"a":[1]}', "application/json"),
        ({"json": None}, b"null", "application/json"),
        ({"body": "ä"}, "ä".encode(), "text/plain; charset=utf-8"),
        ({"body": "<a/>", "headers": {"Content-Type": "text/xml"}}, b"<a/>", "text/xml"),
    ],
)
def test_bodies(attempt: Attempt, stub: HttpStub, config: dict[str, Any], body: bytes, content_type: str) -> None:
    complete(attempt, method="POST", url=stub.url, **config)
    (asked,) = stub.asked
    assert (asked.body, asked.headers["content-type"]) == (body, content_type)
    assert asked.headers["idempotency-key"] == "key-1"


def test_an_own_idempotency_key_stays(attempt: Attempt, stub: HttpStub) -> None:
    complete(attempt, method="PUT", url=stub.url, headers={"idempotency-KEY": "mine"})
    assert stub.asked[0].headers["idempotency-key"] == "mine"


@pytest.mark.parametrize(
    ("headers", "text", "content"),
    [
        ({"Content-Type": "application/problem+json"}, '{"a": 1}', {"json": {"a": 1}}),
        ({"Content-Type": "application/json; charset=utf-8"}, "{", {"text": "{"}),
        ({"Content-Type": "application/json"}, "[" * 100_000, {"text": "[" * 100_000}),
        ({"Content-Type": "text/plain; charset=nothing"}, "ä", {"text": "ä"}),
        ({"Content-Type": "text/plain; charset=latin-1"}, "ä", {"text": "Ã¤"}),
    ],
)
def test_answers(attempt: Attempt, stub: HttpStub, headers: dict[str, str], text: str, content: dict[str, Any]) -> None:
    stub.reply(text=text, headers=headers)
    output = complete(attempt, url=stub.url)
    del output["status"], output["headers"]
    assert output == content


@pytest.mark.parametrize(
    ("status", "retryable"),
    [(400, False), (404, False), (408, True), (425, True), (429, True), (500, True), (503, True)],
)
def test_a_status_that_was_not_expected_fails(attempt: Attempt, stub: HttpStub, status: int, retryable: bool) -> None:
    stub.reply(status, text="why", headers={"Retry-After": "7"})
    outcome = fail(attempt, url=stub.url)
    assert (outcome.code, outcome.retryable, outcome.details) == ("http_status", retryable, {"status": status})
    assert outcome.retry_after_seconds == 7
    assert outcome.output["text"] == "why"


@pytest.mark.parametrize(
    ("expected", "status", "is_fine"),
    [
        (404, 404, True),
        ("404", 404, True),
        ([200, "4XX"], 404, True),
        ([200, 201], 204, False),
        ("3xx", 302, True),
        (201, 200, False),
    ],
)
def test_the_author_says_what_is_expected(
    attempt: Attempt, stub: HttpStub, expected: Any, status: int, is_fine: bool
) -> None:
    stub.reply(status, headers={"Location": "/elsewhere"})
    assert isinstance(attempt.run(Http(), {"url": stub.url, "expect_status": expected}), Completed) is is_fine
    assert len(stub.asked) == 1


def test_reading_follows_redirects(attempt: Attempt, stub: HttpStub) -> None:
    stub.reply(302, headers={"Location": "/there?x=1"})
    assert complete(attempt, url=stub.url)["status"] == 200
    assert [asked.path for asked in stub.asked] == ["/", "/there"]


def test_writing_does_not(attempt: Attempt, stub: HttpStub) -> None:
    stub.reply(307, headers={"Location": "/there"})
    assert fail(attempt, method="POST", url=stub.url).details == {"status": 307}
    assert len(stub.asked) == 1


def test_its_deadline_is_its_own(attempt: Attempt, stub: HttpStub) -> None:
    release = threading.Event()
    stub.reply(release=release)
    outcome = fail(attempt, url=stub.url, timeout="50ms")
    release.set()
    assert (outcome.code, outcome.retryable) == ("timeout", True)


def test_the_steps_timeout_bounds_it_too(attempt: Attempt, stub: HttpStub) -> None:
    release = threading.Event()
    stub.reply(release=release)
    attempt.timeout_seconds = 0.05
    assert fail(attempt, url=stub.url).code == "timeout"
    release.set()


def test_cancelling_ends_it(attempt: Attempt, stub: HttpStub) -> None:
    release = threading.Event()
    stub.reply(release=release)
    threading.Thread(target=lambda: stub.arrived.wait(10) and attempt.cancel.cancel("drain")).start()
    with pytest.raises(StepCancelled, match="drain"):
        attempt.run(Http(), {"url": stub.url})
    release.set()


@pytest.mark.parametrize(
    ("url", "code", "retryable"),
    [
        ("http://127.0.0.1:1/", "connection_failed", True),
        ("http://nowhere.invalid/", "connection_failed", True),
        ("http://10.0.0.1/", "target_refused", False),
        ("ftp://example.com/", "target_refused", False),
        ("https://user:word@example.com/", "target_refused", False),
        ("http://", "invalid_request", False),
        ("http://[::1", "invalid_request", False),
        ("http://two words/", "invalid_request", False),
        ("http://[fe80::1%25eth0]/", "invalid_request", False),
        ("not a url", "target_refused", False),
    ],
)
def test_calls_that_cannot_be_made(attempt: Attempt, url: str, code: str, retryable: bool) -> None:
    outcome = fail(attempt, url=url)
    assert (outcome.code, outcome.retryable) == (code, retryable)


def test_what_it_logs_and_says_holds_no_query_and_no_header(attempt: Attempt, stub: HttpStub) -> None:
    complete(attempt, url=f"{stub.url}/path?key=canary", headers={"Authorization": "canary"})
    assert attempt.text == f"GET {stub.url}/path answered 200"
    for config in ({"url": "http://a:canary/"}, {"url": stub.url, "headers": {"X": "canary\n"}}):
        assert "canary" not in repr(fail(attempt, **config))


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("120", 120),
        ("Thu, 01 Jan 2026 12:00:30 GMT", 30),
        ("Thu, 01 Jan 2026 12:00:30 -0000", 30),
        ("Thu, 01 Jan 2020 12:00:30 GMT", 0),
        ("soon", None),
        ("", None),
        ("-5", None),
        ("²", None),
    ],
)
def test_retry_after(value: str, seconds: float | None) -> None:
    assert retry_after(value, NOW) == seconds
