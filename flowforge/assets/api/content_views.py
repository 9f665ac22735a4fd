"""Contents: download, the next version, the versions that there are."""

import uuid
from dataclasses import replace

from django.http import HttpResponse
from django.http.response import HttpResponseBase
from drf_spectacular.utils import extend_schema
from rest_framework.renderers import BaseRenderer
from rest_framework.request import Request

from flowforge.api.idempotency import keyed, once_with
from flowforge.api.pagination import Page
from flowforge.assets import present, selectors
from flowforge.assets.api import docs
from flowforge.assets.api.base import (
    READ,
    WRITE,
    AssetViews,
    content_type_of,
    fields_of,
    prepared,
    require_content,
)
from flowforge.assets.api.downloads import download
from flowforge.assets.api.serializers import ContentFields
from flowforge.assets.api.uploads import received
from flowforge.assets.models import Asset
from flowforge.assets.services import saving
from flowforge.assets.services.contents import Content
from flowforge.core.errors import InvalidQuery


class ContentViewSet(AssetViews):
    """`/v1/assets/{id}/content`."""

    scopes = {"download": READ, "upload": WRITE, "replace": WRITE}
    query_params = {"download": ("version",), "replace": ("sha256",)}
    errors = {"download": (412, 416), "upload": (412,), "replace": (409, 412)}
    max_body_bytes = None

    def perform_content_negotiation(self, request: Request, force: bool = False) -> tuple[BaseRenderer, str]:
        """A content is what it is: Accept chooses nothing."""
        if self.action == "download":
            renderer = self.get_renderers()[0]
            return renderer, renderer.media_type or ""
        return super().perform_content_negotiation(request, force)

    @extend_schema(**docs.DOWNLOAD)
    def download(self, request: Request, asset_id: uuid.UUID) -> HttpResponseBase:
        """Download a content: the newest, or that of a version.

        Its tag is the SHA-256 of the bytes. A range of them is given where one is asked for (RFC 9110, section 14);
        several that are not one together are answered with the whole.
        """
        asset = selectors.get_asset(self.caller, asset_id)
        version = selectors.get_version(asset, _number(request.GET.get("version")))
        return download(request, asset, version)

    @extend_schema(**docs.UPLOAD)
    @keyed
    def upload(self, request: Request, asset_id: uuid.UUID) -> HttpResponse:
        """Give an asset its next content.

        201 with the asset at its new version; 200 where it has this content already. Readers find the old content or
        the new one, whole.
        """
        asset = selectors.get_asset(self.caller, asset_id, WRITE)
        with received(request) as come:
            require_content(come)
            given = fields_of(come, ContentFields)
            given["content_type"] = content_type_of(come, given, asset.type)
            return once_with(
                self.caller,
                request,
                content=come.digest,
                preparing=lambda: prepared(asset, come),
                work=lambda content: self._added(asset, given, content),
            )

    @extend_schema(**docs.REPLACE)
    def replace(self, request: Request, asset_id: uuid.UUID) -> HttpResponse:
        """Replace an asset's content with the body.

        `Content-Type` is that of the content; a form is read as POST reads it. The same content again changes nothing.
        """
        asset = selectors.get_asset(self.caller, asset_id, WRITE)
        with received(request, as_body=True) as come:
            require_content(come)
            sent = request.GET.get("sha256")
            told = come if sent is None else replace(come, fields={**come.fields, "sha256": sent})
            given = fields_of(told, ContentFields)
            given["content_type"] = content_type_of(come, given, asset.type)
            with prepared(asset, come) as content:
                return self.answer(self._next(asset, given, content))

    def _added(self, asset: Asset, given: dict[str, str], content: Content) -> HttpResponse:
        updated = self._next(asset, given, content)
        if updated.version == asset.version:
            return self.answer(updated)
        at = f"/v1/assets/{asset.pk}/content?version={updated.version}"
        return self.answer(updated, status=201, headers={"Location": at})

    def _next(self, asset: Asset, given: dict[str, str], content: Content) -> Asset:
        return saving.update_asset(
            asset_id=asset.pk, actor=self.caller.actor, given=given, content=content, precondition=self.if_match
        )


class VersionViewSet(AssetViews):
    """`/v1/assets/{id}/versions`."""

    scopes = {"list": READ}

    @extend_schema(**docs.VERSIONS)
    def list(self, request: Request, asset_id: uuid.UUID) -> HttpResponse:
        """List an asset's versions, newest first."""
        asset = selectors.get_asset(self.caller, asset_id)
        page = self.page(selectors.versions_of(asset), key=("version",))
        return self.ok(Page(rows=[present.version(found) for found in page.rows], meta=page.meta))


def _number(text: str | None) -> int | None:
    """`?version=`. Raises InvalidQuery (400)."""
    if text is None:
        return None
    if not (text.isascii() and text.isdigit() and len(text) < 10 and int(text) > 0):
        raise InvalidQuery(detail="version is a number from 1.")
    return int(text)
