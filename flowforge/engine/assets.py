"""The assets of a run's project, as its steps reach them: by the project of the run's row, whatever a step says."""

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from flowforge.assets import selectors
from flowforge.assets.constants import DATASET, MEDIA_TYPE, PROMPT, SNIPPET
from flowforge.assets.models import AssetVersion
from flowforge.assets.services import contents, reading, spooling
from flowforge.assets.services.saving import update_asset
from flowforge.assets.storage import StoreFailed
from flowforge.core.errors import FlowForgeError
from flowforge.steps.assets import AssetFile, NotAvailable
from flowforge.steps.base import CancelToken, StepCancelled


class ProjectAssets:
    """An `AssetPort` of one attempt. A cancelled one is stopped between two pieces."""

    def __init__(self, project_id: uuid.UUID, run_id: uuid.UUID, cancel: CancelToken) -> None:
        self._project_id = project_id
        self._actor = f"run:{run_id}"
        self._cancel = cancel

    def prompt(self, asset_id: str, version: int | None = None) -> str:
        return self._text(asset_id, version, PROMPT)

    def snippet(self, asset_id: str, version: int | None = None) -> str:
        return self._text(asset_id, version, SNIPPET)

    def fetch(self, asset_id: str, into: Path) -> AssetFile:
        version = self._version(asset_id)
        with _told():
            reading.copy(version, into, self._go_on)
        return _file(version)

    def replace(self, asset_id: str, source: Path, *, content_type: str) -> AssetFile:
        """As the port says; the same bytes again are the version that there is, so that a second attempt adds none."""
        if not MEDIA_TYPE.fullmatch(content_type):
            raise NotAvailable(f"{content_type!r} is no media type.")
        asset = self._version(asset_id, DATASET).asset
        with _told(), spooling.spool() as spool:
            come = spooling.spooled(spool, self._checked(source))
            with contents.prepared(self._project_id, DATASET, come) as content:
                given = {"content_type": content_type}
                update_asset(asset_id=asset.pk, actor=self._actor, given=given, content=content)
        return _file(self._version(asset_id))

    def _text(self, asset_id: str, number: int | None, kind: str) -> str:
        found = self._version(asset_id, kind, number)
        assert found.text is not None  # noqa: S101  what these types hold
        return found.text

    def _version(self, asset_id: str, kind: str | None = None, number: int | None = None) -> AssetVersion:
        found = selectors.version_of_project(self._project_id, asset_id, number)
        if found is None:
            which = "" if number is None else f" of version {number}"
            raise NotAvailable(f"The project has no asset {asset_id[:100]!r}{which}.")
        if kind is not None and found.asset.type != kind:
            raise NotAvailable(f"The asset {asset_id!r} is a {found.asset.type}; a {kind} is needed.")
        return found

    def _checked(self, source: Path) -> Iterator[bytes]:
        for piece in spooling.pieces_of(source):
            self._go_on()
            yield piece

    def _go_on(self) -> None:
        if self._cancel.is_set:
            raise StepCancelled(self._cancel.reason)


@contextmanager
def _told() -> Iterator[None]:
    """What the store or the quota says against it, as the port says it."""
    try:
        yield
    except StoreFailed as error:
        raise NotAvailable(f"The content cannot be had: {error}.", retryable=True) from error
    except FlowForgeError as error:
        raise NotAvailable(str(error), retryable=error.retryable) from error


def _file(version: AssetVersion) -> AssetFile:
    return AssetFile(
        asset_id=str(version.asset_id),
        version=version.version,
        label=version.asset.label,
        content_type=version.content_type,
        size=version.size,
    )
