"""Bodies that are read while they come, and contents that go to nobody."""

import json
import math
from collections.abc import Iterable, Iterator
from typing import Any

import pytest

from flowforge.api import incoming
from flowforge.assets.models import Asset, Blob
from flowforge.assets.selectors import get_version
from flowforge.assets.services import reading
from tests import factories
from tests.support.asgi import Header, exchange


def uploaded(key: str, asset_id: str, messages: list[dict], *, headers: Iterable[Header] = ()) -> list[dict[str, Any]]:
    path = f"/v1/assets/{asset_id}/content"
    sent = [(b"x-api-key", key.encode()), (b"content-type", b"text/csv"), *headers]
    return exchange("http", "PUT", path, sent, messages)


def parts(*pieces: bytes) -> list[dict]:
    return [{"type": "http.request", "body": piece, "more_body": True} for piece in pieces]


END: dict[str, Any] = {"type": "http.request", "body": b""}


@pytest.fixture
def target(settings: Any) -> tuple[str, Asset]:
    """A key and an asset, where bodies over ten bytes are read while they come."""
    settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 10
    project = factories.make_project()
    return factories.make_api_key(project=project)[1], factories.make_asset(project=project)


@pytest.mark.django_db(transaction=True)
def test_a_large_body_is_read_while_it_comes(target: tuple[str, Asset]) -> None:
    key, asset = target
    pieces = [bytes([65 + number]) * 7 for number in range(9)]
    start, body = uploaded(key, str(asset.pk), [*parts(*pieces), END])[:2]
    assert (start["status"], json.loads(body["body"])["data"]["size"]) == (200, 63)
    assert b"".join(reading.pieces(get_version(Asset.objects.get()))) == b"".join(pieces)


@pytest.mark.django_db(transaction=True)
def test_a_client_that_goes_in_the_middle_leaves_nothing(target: tuple[str, Asset], settings: Any) -> None:
    key, asset = target
    start, _ = uploaded(key, str(asset.pk), [*parts(b"x" * 20, b"y" * 20), {"type": "http.disconnect"}])
    assert start["status"] == 400
    assert Asset.objects.get().version == 1
    assert Blob.objects.count() == 1
    assert list((settings.HOME / "assets" / "incoming").iterdir()) == []


@pytest.mark.django_db(transaction=True)
def test_a_client_that_falls_silent_is_given_up(target: tuple[str, Asset], monkeypatch: Any) -> None:
    key, asset = target
    monkeypatch.setattr(incoming, "STALL_SECONDS", 0.2)
    silence = {"after": math.inf}
    start, _ = uploaded(key, str(asset.pk), [*parts(b"x" * 20), silence])
    assert (start["status"], Asset.objects.get().version) == (400, 1)


@pytest.mark.django_db(transaction=True)
def test_it_rejects_a_large_body_before_it_is_read(target: tuple[str, Asset]) -> None:
    """Who may not upload is told so without that the rest is taken: there is no further message to receive."""
    key, asset = target
    assert uploaded("nonsense", str(asset.pk), parts(b"x" * 20))[0]["status"] == 401
    assert uploaded(key, factories.unknown_id(), parts(b"x" * 20))[0]["status"] == 404


@pytest.mark.django_db(transaction=True)
def test_leave_is_given_where_it_is_asked_for(target: tuple[str, Asset]) -> None:
    key, asset = target
    asks = [(b"expect", b"100-continue"), (b"content-length", b"40")]
    start, _ = uploaded(key, str(asset.pk), [*parts(b"x" * 40), END], headers=asks)
    assert start["status"] == 200
    assert (b"connection", b"close") not in start["headers"]
    start, _ = uploaded("nonsense", str(asset.pk), [], headers=asks)
    assert start["status"] == 401
    assert (b"connection", b"close") in start["headers"]


@pytest.mark.django_db(transaction=True)
def test_a_download_ends_when_nobody_reads_it(target: tuple[str, Asset], monkeypatch: Any) -> None:
    key, asset = target

    def endless(*_: Any) -> Iterator[bytes]:
        while True:
            yield b"x"

    monkeypatch.setattr("flowforge.assets.api.downloads.reading.pieces", endless)
    sent = exchange(
        "http",
        "GET",
        f"/v1/assets/{asset.pk}/content",
        [(b"x-api-key", key.encode())],
        [END, {"type": "http.disconnect", "after": 5}],
    )
    assert sent[0]["status"] == 200
    assert sent[-1]["more_body"] is True
