"""How assets and their versions look in an answer."""

from typing import Any

from flowforge.assets.constants import PROMPT, TEXTS
from flowforge.assets.models import Asset, AssetVersion
from flowforge.core.clock import isoformat
from flowforge.core.json import Json
from flowforge.steps.prompts import variables_of


def row(asset: Asset) -> dict[str, Any]:
    """As a list shows it: without its content."""
    return {
        "id": str(asset.pk),
        "project_id": str(asset.project_id),
        "type": asset.type,
        "label": asset.label,
        "metadata": asset.metadata,
        "version": asset.version,
        "size": asset.size,
        "sha256": asset.sha256,
        "content_type": asset.content_type,
        "created_at": isoformat(asset.created_at),
        "updated_at": isoformat(asset.updated_at),
    }


def whole(asset: Asset, text: str | None) -> dict[str, Json]:
    """With its newest text, where it is one, and the variables of a prompt."""
    shown = row(asset)
    if asset.type in TEXTS:
        shown["content"] = text
    if asset.type == PROMPT and text is not None:
        shown["variables"] = variables_of(text)
    return shown


def version(found: AssetVersion) -> dict[str, Json]:
    return {
        "version": found.version,
        "size": found.size,
        "sha256": found.sha256,
        "content_type": found.content_type,
        "created_by": found.created_by,
        "created_at": isoformat(found.created_at),
    }


def content_tag(found: AssetVersion) -> str:
    """A strong tag of the bytes themselves (RFC 9110, 8.8.3)."""
    return f'"{found.sha256}"'
