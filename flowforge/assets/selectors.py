"""Reading assets; their bytes: services.reading."""

import uuid
from collections.abc import Iterable, Mapping

from django.db.models import QuerySet

from flowforge.api.caller import Caller
from flowforge.assets.models import Asset, AssetVersion
from flowforge.core.errors import NotFound
from flowforge.projects.scoping import get_visible

READ = "assets:read"


def get_asset(caller: Caller, asset_id: uuid.UUID | str, scope: str = READ) -> Asset:
    """Raises NotFound (404) where the caller cannot see it, PermissionMissing (403)."""
    return get_visible(Asset.objects.all(), caller, asset_id, scope)


def get_version(asset: Asset, version: int | None = None) -> AssetVersion:
    """The newest, or the one of that number. Raises NotFound (404)."""
    rows = AssetVersion.objects.select_related("blob").filter(asset=asset, version=version or asset.version)
    found = rows.first()
    if found is None:
        raise NotFound(detail="The asset has no such version.")
    return found


def versions_of(asset: Asset) -> QuerySet[AssetVersion]:
    """Without their texts."""
    return AssetVersion.objects.filter(asset=asset).defer("text")


def version_of_project(project_id: uuid.UUID, asset_id: str, version: int | None = None) -> AssetVersion | None:
    """A version with its asset and blob, for what runs in a project: of another project's assets there is none."""
    try:
        key = uuid.UUID(asset_id)
    except ValueError:
        return None
    rows = AssetVersion.objects.select_related("asset", "blob").filter(asset_id=key, asset__project_id=project_id)
    return (rows if version is None else rows.filter(version=version)).order_by("-version").first()


def types_by_id(project_id: uuid.UUID, ids: Iterable[uuid.UUID]) -> Mapping[uuid.UUID, str]:
    """Id -> type, of those that the project has."""
    found = Asset.objects.filter(project_id=project_id, id__in=set(ids)).order_by()
    return dict(found.values_list("id", "type"))
