"""Uploads over a real socket, cut off and killed: what is there afterwards is whole."""

import hashlib
import http.client
import json
import os
import socket
from collections.abc import Iterator
from typing import Any

import pytest

from tests.bench.client import KEY
from tests.support.service import Site, until

pytestmark = [pytest.mark.processes, pytest.mark.timeout(240)]

SIZE = 12 * 1024 * 1024  # more than the server reads beforehand
PIECE = os.urandom(64 * 1024)
DIGEST = hashlib.sha256(PIECE * (SIZE // len(PIECE))).hexdigest()


def pieces() -> Iterator[bytes]:
    for _ in range(SIZE // len(PIECE)):
        yield PIECE


def put(place: Site, asset_id: str, **headers: str) -> tuple[int, Any]:
    """The status, and the body's JSON."""
    connection = http.client.HTTPConnection("127.0.0.1", place.port, timeout=60)
    sent = {"X-API-KEY": KEY, "Content-Type": "application/octet-stream", **headers}
    connection.request("PUT", f"/v1/assets/{asset_id}/content", pieces(), sent)
    answer = connection.getresponse()
    found = answer.status, json.loads(answer.read())
    connection.close()
    return found


def half_an_upload(place: Site, asset_id: str) -> None:
    """Declares all of it, sends most of it, and is gone."""
    with socket.create_connection(("127.0.0.1", place.port)) as raw:
        head = f"PUT /v1/assets/{asset_id}/content HTTP/1.1\r\nHost: localhost\r\nX-API-KEY: {KEY}\r\n"
        raw.sendall(f"{head}Content-Type: text/csv\r\nContent-Length: {SIZE}\r\n\r\n".encode())
        for _ in range(SIZE // len(PIECE) - 8):
            raw.sendall(PIECE)


def files(place: Site, folder: str) -> list[int]:
    """Sizes of what is below `assets/<folder>` of the home."""
    found = (place.home / "assets" / folder).rglob("*")
    return sorted(path.stat().st_size for path in found if path.is_file())


def test_it_works(place: Site) -> None:
    process = place.serve("up", "--quiet")
    client = place.client()
    body = {"type": "dataset", "label": "Large", "content": "small"}
    asset_id = client.call("POST", "/v1/assets", body)["data"]["id"]

    status, answer = put(place, asset_id)  # chunked: its length is not declared
    assert (status, answer["data"]["version"], answer["data"]["sha256"]) == (200, 2, DIGEST)
    connection = http.client.HTTPConnection("127.0.0.1", place.port, timeout=60)
    connection.request("GET", f"/v1/assets/{asset_id}/content", headers={"X-API-KEY": KEY})
    assert hashlib.sha256(connection.getresponse().read()).hexdigest() == DIGEST
    connection.close()

    half_an_upload(place, asset_id)
    until(lambda: not files(place, "incoming"), 30, "what has come of it is removed")
    assert place.client().call("GET", f"/v1/assets/{asset_id}")["data"]["version"] == 2
    assert process.end() == 0, process.printed

    process = place.serve("up", "--quiet", FLOWFORGE_FAILPOINTS="asset.stored:1:kill9")
    with pytest.raises((OSError, http.client.HTTPException)):
        put(place, asset_id, **{"Content-Type": "text/csv"})
    assert process.ended(30) == -9, process.printed

    process = place.serve("up", "--quiet")
    left = place.client().call("GET", f"/v1/assets/{asset_id}")["data"]
    assert (left["version"], left["sha256"]) == (2, DIGEST)
    assert files(place, "blobs") == [5, SIZE, SIZE]  # the orphan, which the sweep removes once nobody can want it
    assert process.end() == 0, process.printed
