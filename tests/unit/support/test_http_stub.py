"""The stub that step and webhook tests talk to."""

import json
import threading
import urllib.error
import urllib.request
from http.client import RemoteDisconnected

import pytest

from tests.support.http_stub import HttpStub


def fetch(url: str, body: bytes | None = None) -> tuple[int, bytes]:
    with urllib.request.urlopen(urllib.request.Request(url, data=body), timeout=5) as response:
        return response.status, response.read()


def test_it_works(stub: HttpStub) -> None:
    stub.reply(201, json={"a": 1})
    assert fetch(stub.url + "/things?x=1&x=2", b'{"b": 2}') == (201, b'{"a": 1}')
    (asked,) = stub.asked
    assert (asked.method, asked.path, asked.query) == ("POST", "/things", {"x": ["1", "2"]})
    assert asked.json == {"b": 2}
    assert asked.headers["content-length"] == "8"


def test_it_answers_200_when_nothing_is_scripted(stub: HttpStub) -> None:
    status, body = fetch(stub.url)
    assert (status, json.loads(body)) == (200, {})


def test_it_gives_scripted_failures_in_order(stub: HttpStub) -> None:
    stub.reply(503, text="busy", headers={"Retry-After": "7"})
    stub.reply(hang_up=True)
    with pytest.raises(urllib.error.HTTPError) as caught:
        fetch(stub.url)
    assert (caught.value.code, caught.value.headers["Retry-After"], caught.value.read()) == (503, "7", b"busy")
    caught.value.close()
    with pytest.raises(RemoteDisconnected):
        fetch(stub.url)


def test_it_holds_an_answer_back_until_released(stub: HttpStub) -> None:
    release = threading.Event()
    stub.reply(json={"late": True}, release=release)
    answers: list[tuple[int, bytes]] = []
    caller = threading.Thread(target=lambda: answers.append(fetch(stub.url)))
    caller.start()
    assert stub.arrived.wait(5)
    assert answers == []
    release.set()
    caller.join(5)
    assert answers == [(200, b'{"late": true}')]
