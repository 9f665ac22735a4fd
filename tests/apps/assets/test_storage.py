"""The stores of blobs: a folder, and an object store on the loopback."""

import os
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from moto.server import ThreadedMotoServer

from flowforge.assets.storage import StoreFailed, store_of
from flowforge.assets.storage.base import Store

KEY = "0198-project/0198-blob"
CONTENT = os.urandom(9 * 1024 * 1024)  # more than a request to an object store carries at a time


@pytest.fixture(scope="module")
def s3() -> Iterator[str]:
    """The URL of an S3 server with one bucket."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    endpoint = f"http://{host}:{port}"
    urllib.request.urlopen(urllib.request.Request(f"{endpoint}/bucket", method="PUT"), timeout=10).close()
    yield f"s3://bucket/some/prefix?endpoint={endpoint}&region=us-east-1"
    server.stop()


@pytest.fixture(params=["local", "file", "s3"])
def store(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    if request.param == "s3":
        return store_of(request.getfixturevalue("s3"), tmp_path)
    return store_of("" if request.param == "local" else f"file://{tmp_path}/other%20place", tmp_path)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "source"
    path.write_bytes(CONTENT)
    return path


def test_it_works(store: Store, source: Path) -> None:
    store.check()
    store.put(KEY, source)
    assert b"".join(store.read(KEY, 0, len(CONTENT))) == CONTENT
    assert b"".join(store.read(KEY, 5_000_001, 5_000_004)) == CONTENT[5_000_001:5_000_004]
    assert list(store.read(KEY, 7, 7)) == []
    store.delete(KEY)
    with pytest.raises(StoreFailed):
        list(store.read(KEY, 0, 1))


def test_an_empty_blob_is_one(store: Store, tmp_path: Path) -> None:
    (tmp_path / "empty").touch()
    store.put("a/empty", tmp_path / "empty")
    assert list(store.read("a/empty", 0, 0)) == []


def test_a_blob_is_read_in_pieces(store: Store, source: Path) -> None:
    store.put("a/pieces", source)
    sizes = [len(piece) for piece in store.read("a/pieces", 0, len(CONTENT))]
    assert len(sizes) > 2
    assert max(sizes) <= 4 * 1024 * 1024


def test_what_is_not_there_is_deleted_already(store: Store) -> None:
    store.delete("a/never")
    with pytest.raises(StoreFailed):
        list(store.read("a/never", 0, 1))


def test_it_rejects_a_blob_that_has_become_shorter(store: Store, tmp_path: Path) -> None:
    (tmp_path / "short").write_bytes(b"123")
    store.put("a/short", tmp_path / "short")
    with pytest.raises(StoreFailed):
        list(store.read("a/short", 0, 5))


def test_a_folder_holds_no_half_blob(tmp_path: Path, source: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The name appears by renaming, after the bytes are on disk; what an interruption leaves is deleted with it."""
    store = store_of(f"file://{tmp_path}/blobs", tmp_path)
    monkeypatch.setattr("flowforge.assets.storage.local._same_disk", lambda *_: False)  # it has to be copied
    seen: list[list[str]] = []

    def replace(draft: Path, target: Path) -> None:
        seen.append(sorted(path.name for path in target.parent.iterdir()))
        raise OSError(5, "power is lost")

    monkeypatch.setattr(os, "replace", replace)
    with pytest.raises(StoreFailed, match="power is lost"):
        store.put(KEY, source)
    assert seen == [["0198-blob.part"]]
    store.delete(KEY)
    assert [path for path in (tmp_path / "blobs").rglob("*") if path.is_file()] == []


def test_an_object_store_that_is_away_says_so_without_its_address(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    monkeypatch.setattr("flowforge.assets.storage.objects.RETRY", {"max_retries": 0})
    away = store_of("s3://bucket?endpoint=http://127.0.0.1:1&region=x", tmp_path)
    with pytest.raises(StoreFailed) as failed:
        away.check()
    assert "127.0.0.1" not in str(failed.value)


@pytest.mark.parametrize(
    "url", ["ftp://x/y", "s3:///no-bucket", "file://host/path", "folder", "s3://bucket?bogus=1", "file:relative"]
)
def test_it_rejects_an_url_that_names_no_store(tmp_path: Path, url: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        store_of(url, tmp_path)
