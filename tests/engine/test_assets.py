"""The assets of a run's project, as its steps reach them."""

import hashlib
import uuid
from pathlib import Path
from typing import Any

import pytest

from flowforge.assets.models import Asset, AssetVersion, Blob
from flowforge.assets.storage import store
from flowforge.engine.assets import ProjectAssets
from flowforge.steps.assets import AssetFile, NotAvailable
from flowforge.steps.base import CancelToken, StepCancelled
from tests import factories

pytestmark = pytest.mark.django_db

RUN = uuid.UUID(int=7)


@pytest.fixture
def cancel() -> CancelToken:
    return CancelToken()


@pytest.fixture
def port(project: Any, cancel: CancelToken) -> ProjectAssets:
    return ProjectAssets(project.pk, RUN, cancel)


def test_it_works(project: Any, port: ProjectAssets, tmp_path: Path) -> None:
    asset = factories.make_asset(project=project, label="Orders", content=b"a\n1\n")
    into = tmp_path / "into"
    told = {"asset_id": str(asset.pk), "label": "Orders", "content_type": "text/csv"}
    assert port.fetch(str(asset.pk), into) == AssetFile(**told, version=1, size=4)
    assert into.read_bytes() == b"a\n1\n"

    source = tmp_path / "source"
    source.write_bytes(b"a\n1\n2\n")
    told |= {"content_type": "application/x-ndjson"}
    new = AssetFile(**told, version=2, size=6)
    assert port.replace(str(asset.pk), source, content_type="application/x-ndjson") == new
    assert port.fetch(str(asset.pk), into) == new
    assert into.read_bytes() == source.read_bytes() == b"a\n1\n2\n"
    row = Asset.objects.get()
    assert (row.version, row.size, row.sha256) == (2, 6, hashlib.sha256(b"a\n1\n2\n").hexdigest())
    assert list(AssetVersion.objects.values_list("version", "created_by")) == [(2, f"run:{RUN}"), (1, "test")]


def test_the_same_bytes_again_are_no_version(project: Any, port: ProjectAssets, tmp_path: Path) -> None:
    asset = factories.make_asset(project=project, content=b"a\n1\n")
    (tmp_path / "source").write_bytes(b"a\n1\n")
    again = port.replace(str(asset.pk), tmp_path / "source", content_type="text/csv")
    assert (again.version, AssetVersion.objects.count()) == (1, 1)
    assert sorted(Blob.objects.values_list("state", flat=True)) == ["condemned", "kept"]


def test_a_prompt_is_as_it_was_written(project: Any, port: ProjectAssets) -> None:
    asset = factories.make_asset(project=project, type="prompt", content=b"Say {{ what }}.", content_type="text/plain")
    assert port.prompt(str(asset.pk)) == port.prompt(str(asset.pk), 1) == "Say {{ what }}."
    with pytest.raises(NotAvailable, match="of version 2"):
        port.prompt(str(asset.pk), 2)
    with pytest.raises(NotAvailable, match="is a prompt; a snippet is needed"):
        port.snippet(str(asset.pk))


def test_it_rejects_what_is_not_the_projects(
    project: Any, other_project: Any, port: ProjectAssets, tmp_path: Path
) -> None:
    foreign = factories.make_asset(project=other_project)
    prompt = factories.make_asset(project=other_project, type="prompt", content=b"hello")
    (tmp_path / "source").write_bytes(b"stolen")
    for asset_id in (str(foreign.pk), factories.unknown_id(), "nonsense", ""):
        with pytest.raises(NotAvailable):
            port.fetch(asset_id, tmp_path / "into")
        with pytest.raises(NotAvailable):
            port.replace(asset_id, tmp_path / "source", content_type="text/csv")
    with pytest.raises(NotAvailable):
        port.prompt(str(prompt.pk))
    foreign.refresh_from_db()
    assert foreign.version == 1
    assert not (tmp_path / "into").exists()


def test_it_rejects_content_that_is_not_what_was_stored(project: Any, port: ProjectAssets, tmp_path: Path) -> None:
    asset = factories.make_asset(project=project, content=b"a\n1\n")
    (tmp_path / "forged").write_bytes(b"a\n2\n")
    store().put(Blob.objects.get().key, tmp_path / "forged")
    with pytest.raises(NotAvailable, match="other bytes") as refused:
        port.fetch(str(asset.pk), tmp_path / "into")
    assert refused.value.retryable


def test_it_rejects_more_than_the_quota(project: Any, port: ProjectAssets, tmp_path: Path) -> None:
    asset = factories.make_asset(project=project, content=b"1234")
    project.settings = {"max_asset_bytes": 10}
    project.save(update_fields=["settings"])
    (tmp_path / "source").write_bytes(b"1234567")
    with pytest.raises(NotAvailable, match="keeps 4 bytes of at most 10; 7 more do not fit") as refused:
        port.replace(str(asset.pk), tmp_path / "source", content_type="text/csv")
    assert not refused.value.retryable
    (tmp_path / "source").write_bytes(b"123456")
    assert port.replace(str(asset.pk), tmp_path / "source", content_type="text/csv").version == 2


def test_a_cancelled_step_stops_between_two_pieces(
    project: Any, port: ProjectAssets, cancel: CancelToken, tmp_path: Path
) -> None:
    asset = factories.make_asset(project=project)
    cancel.cancel("cancelled")
    (tmp_path / "source").write_bytes(b"1")
    with pytest.raises(StepCancelled):
        port.fetch(str(asset.pk), tmp_path / "into")
    with pytest.raises(StepCancelled):
        port.replace(str(asset.pk), tmp_path / "source", content_type="text/csv")
    assert AssetVersion.objects.count() == 1
