"""Blobs: noted first, written then, taken last; counted under a lock; swept when nobody needs them."""

import os
import threading
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings as django_settings
from django.db import connection

from flowforge.assets.models import Asset, AssetVersion, Blob
from flowforge.assets.services import contents, quota, spooling, storing, sweeping
from flowforge.assets.services.saving import create_asset, delete_asset
from flowforge.assets.storage import StoreFailed, store
from flowforge.core import clock, failpoints
from flowforge.core.errors import BodyTooLarge, Conflict, QuotaExceeded, Unavailable
from flowforge.projects.models import Project
from tests import factories

pytestmark = pytest.mark.django_db

LATER = timedelta(hours=2)
MUCH_LATER = timedelta(hours=12)


def is_stored(blob: Blob) -> bool:
    try:
        return sum(len(piece) for piece in store().read(blob.key, 0, blob.size)) == blob.size
    except StoreFailed:
        return False


def spool_files() -> list[Path]:
    folder = django_settings.HOME / "assets" / "incoming"
    return list(folder.iterdir()) if folder.is_dir() else []


def test_it_works(project: Project) -> None:
    asset = factories.make_asset(project=project)
    blob = Blob.objects.get()
    assert (blob.state, blob.size, is_stored(blob)) == ("kept", asset.size, True)
    assert quota.used_bytes(project.pk) == asset.size
    assert spool_files() == []
    assert sweeping.run_once(clock.now() + MUCH_LATER) == 0
    assert is_stored(blob)


def test_what_is_deleted_is_swept_after_a_while(project: Project) -> None:
    asset, other = factories.make_asset(project=project), factories.make_asset(project=project)
    kept = Blob.objects.get(asset_version__asset=other)
    gone = Blob.objects.get(asset_version__asset=asset)
    delete_asset(asset_id=asset.pk)
    assert quota.used_bytes(project.pk) == other.size
    assert sweeping.run_once(clock.now()) == 0
    assert is_stored(gone)  # who reads it just now comes to its end
    assert sweeping.run_once(clock.now() + LATER) == 1
    assert list(Blob.objects.all()) == [kept]
    assert (is_stored(gone), is_stored(kept)) == (False, True)


@pytest.mark.parametrize("place", ["asset.reserved", "asset.stored"])
def test_what_fails_on_the_way_leaves_nothing_but_an_orphan(project: Project, monkeypatch: Any, place: str) -> None:
    def fail(name: str) -> None:
        if name == place:
            raise failpoints.FailpointError(name)

    monkeypatch.setattr("flowforge.assets.services.storing.failpoint", fail)
    with pytest.raises(failpoints.FailpointError):
        factories.make_asset(project=project)
    orphan = Blob.objects.get()
    assert (orphan.state, is_stored(orphan)) == ("condemned", place == "asset.stored")
    assert not Asset.objects.exists()
    assert quota.used_bytes(project.pk) == 0
    assert sweeping.run_once(clock.now() + LATER) == 1
    assert (Blob.objects.count(), is_stored(orphan)) == (0, False)


def test_what_a_dead_process_has_left_is_swept(project: Project, tmp_path: Path) -> None:
    """As a kill between the blob and its version leaves it: nobody has condemned the row."""
    blob = Blob.objects.create(project=project, key=f"{project.pk}/dead", size=3, state_at=clock.now())
    (tmp_path / "x").write_bytes(b"123")
    store().put(blob.key, tmp_path / "x")
    assert quota.used_bytes(project.pk) == 3
    assert sweeping.run_once(clock.now() + LATER) == 0
    assert sweeping.run_once(clock.now() + MUCH_LATER) == 0  # given up, and left for a while
    assert sweeping.run_once(clock.now() + MUCH_LATER + LATER) == 1
    assert (quota.used_bytes(project.pk), is_stored(blob)) == (0, False)


def test_it_rejects_a_blob_that_was_given_up_meanwhile(project: Project) -> None:
    with spooling.spool() as spool:
        come = spooling.spooled(spool, [b"late"])
        with contents.prepared(project.pk, "dataset", come) as content:
            sweeping.run_once(clock.now() + MUCH_LATER)
            given = {"type": "dataset", "label": "x", "content_type": "text/csv"}
            with pytest.raises(Conflict, match="send it again"):
                create_asset(project=project, actor="test", given=given, content=content)
    assert not Asset.objects.exists()


def test_what_a_deleted_project_leaves_is_swept(other_project: Project) -> None:
    factories.make_asset(project=other_project)
    blob = Blob.objects.get()
    other_project.delete()
    assert sweeping.run_once(clock.now()) == 0
    assert sweeping.run_once(clock.now() + LATER) == 1
    assert not is_stored(blob)


def test_a_store_that_fails_is_asked_again(project: Project, monkeypatch: Any) -> None:
    asset = factories.make_asset(project=project)
    blob = Blob.objects.get()
    delete_asset(asset_id=asset.pk)

    def fail(_store: object, _key: str) -> None:
        raise StoreFailed("away")

    with monkeypatch.context() as patch:
        patch.setattr("flowforge.assets.storage.local.LocalStore.delete", fail)
        assert sweeping.run_once(clock.now() + LATER) == 0
    assert sweeping.run_once(clock.now() + LATER) == 0  # it waits its turn
    assert sweeping.run_once(clock.now() + MUCH_LATER) == 1
    assert not is_stored(blob)


def test_a_store_that_takes_nothing_is_told_as_away(project: Project, monkeypatch: Any) -> None:
    def fail(_store: object, _key: str, _source: Path) -> None:
        raise StoreFailed("full")

    monkeypatch.setattr("flowforge.assets.storage.local.LocalStore.put", fail)
    with pytest.raises(Unavailable):
        factories.make_asset(project=project)
    assert Blob.objects.get().state == "condemned"


def test_what_was_never_finished_is_removed_from_the_spool() -> None:
    with spooling.spool() as spool:
        spool.write(b"half")
        (path,) = spool_files()
        assert sweeping.run_once(clock.now()) == 0
        assert spool_files() == [path]  # somebody may still be writing to it
        os.utime(path, (1, 1))
        sweeping.run_once(clock.now())
        assert spool_files() == []


def test_it_rejects_more_than_may_be_uploaded(settings: Any) -> None:
    settings.MAX_UPLOAD_BYTES = 10
    with spooling.spool() as spool:
        spool.write(b"1234567890")
        with pytest.raises(BodyTooLarge):
            spool.write(b"1")
    assert spool_files() == []


@pytest.mark.parametrize(("kind", "content"), [("dataset", b"123456"), ("prompt", b"123456")])
def test_it_rejects_more_than_the_project_may_keep(project: Project, settings: Any, kind: str, content: bytes) -> None:
    settings.MAX_ASSET_BYTES = 11
    factories.make_asset(project=project, type=kind, content=content)
    with pytest.raises(QuotaExceeded) as refused:
        factories.make_asset(project=project, type=kind, content=content)
    assert refused.value.extra == {"used_bytes": 6, "limit_bytes": 11, "asked_bytes": 6}
    project.settings = {"max_asset_bytes": 12}
    project.save(update_fields=["settings"])
    factories.make_asset(project=project, type=kind, content=content)
    assert quota.used_bytes(project.pk) == 12


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("kind", ["dataset", "prompt"])
def test_two_uploads_at_once_do_not_both_pass(project: Project, settings: Any, kind: str) -> None:
    settings.MAX_ASSET_BYTES = 100
    start, passed, refused = threading.Barrier(6), [], []

    def upload() -> None:
        try:
            start.wait()
            passed.append(factories.make_asset(project=project, type=kind, content=b"x" * 40))
        except QuotaExceeded as error:
            refused.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=upload) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(passed), len(refused)) == (2, 4)
    assert quota.used_bytes(project.pk) == 80
    assert AssetVersion.objects.count() == 2


@pytest.mark.django_db(transaction=True)
def test_nothing_of_the_store_is_done_within_a_transaction(project: Project, monkeypatch: Any) -> None:
    """No connection waits for a disk or a network."""
    seen: list[bool] = []
    real = type(store())

    def note(name: str) -> None:
        inner = getattr(real, name)

        def call(*args: Any) -> Any:
            seen.append(connection.in_atomic_block)
            return inner(*args)

        monkeypatch.setattr(real, name, call)

    for name in ("put", "delete"):
        note(name)
    asset = factories.make_asset(project=project)
    delete_asset(asset_id=asset.pk)
    sweeping.run_once(clock.now() + LATER)
    assert seen == [False, False]


def test_keeping_is_guarded(project: Project) -> None:
    factories.make_asset(project=project)
    kept = Blob.objects.get()
    assert storing.condemn(kept) is False
    with pytest.raises(Conflict):
        storing.keep(kept)
    kept.refresh_from_db()
    assert kept.state == "kept"
