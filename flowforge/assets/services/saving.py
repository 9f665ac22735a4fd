"""Creating, changing and removing assets."""

import uuid
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from django.db import transaction

from flowforge.assets.constants import CONDEMNED, KEPT
from flowforge.assets.models import Asset, AssetVersion, Blob
from flowforge.assets.services.contents import Content
from flowforge.core import clock
from flowforge.core.errors import NotFound
from flowforge.projects.models import Project
from flowforge.projects.selectors import require_active

Precondition = Callable[[Asset], None]
"""Called under the lock with the asset that is about to change; raises to stop (If-Match)."""


@transaction.atomic
def create_asset(*, project: Project, actor: str, given: Mapping[str, Any], content: Content) -> Asset:
    """An asset at version 1. `given`: `type`, `label`, `content_type`, and perhaps `metadata`.

    Raises QuotaExceeded (409), Conflict (409) in a project that was archived meanwhile.
    """
    now = clock.now()
    content.take(project.pk)
    asset = Asset(
        project=project,
        type=given["type"],
        label=given["label"],
        metadata=given.get("metadata", {}),
        size=content.size,
        sha256=content.sha256,
        content_type=given["content_type"],
        created_by=actor,
        updated_by=actor,
        created_at=now,
        updated_at=now,
    )
    asset.save(force_insert=True)
    _write_version(asset, content, now)
    return asset


@transaction.atomic
def update_asset(
    *,
    asset_id: uuid.UUID,
    actor: str,
    given: Mapping[str, Any],
    content: Content | None = None,
    precondition: Precondition | None = None,
) -> Asset:
    """Change what is given of `label`, `metadata` and `content_type`; with `content`, that is the next version.

    The same bytes again, of the same type, make no version: what is sent twice changes nothing.
    Raises NotFound, Conflict (409), QuotaExceeded (409), and what `precondition` raises.
    """
    now = clock.now()
    asset = _lock(asset_id, precondition)
    require_active(asset.project)
    asset.label = given.get("label", asset.label)
    asset.metadata = given.get("metadata", asset.metadata)
    if content is not None:
        _replace(asset, content, given.get("content_type", asset.content_type), actor, now)
    asset.updated_at, asset.updated_by = now, actor
    asset.save()
    return asset


@transaction.atomic
def delete_asset(*, asset_id: uuid.UUID, precondition: Precondition | None = None) -> None:
    """Remove it with all its versions, for good. Their blobs are removed later: services.sweeping."""
    asset = _lock(asset_id, precondition)
    blobs = list(asset.versions.filter(blob__isnull=False).order_by().values_list("blob_id", flat=True))
    asset.delete()
    Blob.objects.filter(pk__in=blobs, state=KEPT).update(state=CONDEMNED, state_at=clock.now())


def _replace(asset: Asset, content: Content, content_type: str, actor: str, now: datetime) -> None:
    if (asset.sha256, asset.size, asset.content_type) == (content.sha256, content.size, content_type):
        return
    content.take(asset.project_id)
    asset.version += 1
    asset.size, asset.sha256, asset.content_type = content.size, content.sha256, content_type
    asset.updated_by = actor
    _write_version(asset, content, now)


def _write_version(asset: Asset, content: Content, now: datetime) -> None:
    AssetVersion.objects.create(
        project_id=asset.project_id,
        asset=asset,
        version=asset.version,
        size=content.size,
        sha256=content.sha256,
        content_type=asset.content_type,
        text=content.text,
        blob=content.blob,
        created_by=asset.updated_by,
        created_at=now,
    )


def _lock(asset_id: uuid.UUID, precondition: Precondition | None) -> Asset:
    rows = Asset.objects.select_related("project").filter(pk=asset_id)
    asset = rows.select_for_update(of=("self",)).first()
    if asset is None:
        raise NotFound
    if precondition is not None:
        precondition(asset)
    return asset
