"""Assets: list, create, read, change, remove, render."""

import uuid
from typing import Any

from django.db.models import QuerySet
from django.http import HttpResponse
from django_filters import CharFilter, ChoiceFilter, FilterSet, UUIDFilter
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request

from flowforge.api.idempotency import keyed, once_with
from flowforge.api.pagination import Page
from flowforge.api.serializers import body
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
from flowforge.assets.api.serializers import AssetFields, NewAssetFields, RenderBody
from flowforge.assets.api.uploads import received
from flowforge.assets.constants import PROMPT, TYPES
from flowforge.assets.models import Asset
from flowforge.assets.services import saving
from flowforge.assets.services.contents import Content
from flowforge.core.errors import Conflict, Fault, InvalidBody
from flowforge.kernel.expressions import ExpressionError
from flowforge.projects.models import Project
from flowforge.projects.scoping import get_visible, require_visible
from flowforge.projects.selectors import require_active, resolve_project
from flowforge.steps.prompts import PromptFaults, fill, variables_of


class AssetFilters(FilterSet):
    """`project_id, type, label (contains)`."""

    project_id = UUIDFilter(field_name="project_id")
    type = ChoiceFilter(choices=[(kind, kind) for kind in TYPES])
    label = CharFilter(field_name="label", lookup_expr="icontains", help_text="Contained, in any case.")


class AssetViewSet(AssetViews):
    """`/v1/assets`, `/v1/assets/{id}`, the same nested under a project, and `:render`."""

    scopes = {
        "list": READ,
        "create": WRITE,
        "retrieve": READ,
        "partial_update": WRITE,
        "destroy": WRITE,
        "render": READ,
    }
    filterset_class = AssetFilters
    errors = {"partial_update": (409,), "render": (409,)}

    @extend_schema(**docs.LIST)
    def list(self, request: Request, project_id: uuid.UUID | None = None) -> HttpResponse:
        """List assets, newest first, without their contents."""
        rows: QuerySet[Asset] = self.filtered(Asset.objects.visible_to(self.caller, READ))
        if project_id is not None:
            rows = rows.filter(project=get_visible(Project.objects.all(), self.caller, project_id, READ))
        require_visible(Project.objects.all(), self.caller, request.GET.getlist("project_id"))
        page = self.page(rows)
        return self.ok(Page(rows=[present.row(asset) for asset in page.rows], meta=page.meta))

    @extend_schema(**docs.CREATE)
    @keyed
    def create(self, request: Request, project_id: uuid.UUID | None = None) -> HttpResponse:
        """Create an asset, at version 1.

        Its content is the text `content` of a JSON body, or the uploaded `file` of a form; prompts and snippets are
        text in UTF-8. 409 where the project may not keep so much.
        """
        if project_id is not None:  # who may not write there need not send it all first
            get_visible(Project.objects.all(), self.caller, project_id, WRITE)
        with received(request) as come:
            given = fields_of(come, NewAssetFields)
            project = self._project_to_write(project_id, given.pop("project_id", None))
            require_content(come)
            given["content_type"] = content_type_of(come, given, given["type"])
            draft = Asset(project=project, type=given["type"])
            return once_with(
                self.caller,
                request,
                content=come.digest,
                preparing=lambda: prepared(draft, come),
                work=lambda content: self._created(project, given, content),
            )

    @extend_schema(**docs.RETRIEVE)
    def retrieve(self, request: Request, asset_id: uuid.UUID) -> HttpResponse:
        """Read an asset; a prompt or a snippet with its text."""
        return self.answer(selectors.get_asset(self.caller, asset_id))

    @extend_schema(**docs.PATCH)
    def partial_update(self, request: Request, asset_id: uuid.UUID) -> HttpResponse:
        """Change an asset.

        What the body leaves out stays. A `content` (or a `file`) becomes the next version; the versions before it stay.
        """
        asset = selectors.get_asset(self.caller, asset_id, WRITE)
        with received(request) as come:
            given = fields_of(come, AssetFields, partial=True)
            if come.content is None:
                return self.answer(self._updated(asset, _without_content(given), None))
            given["content_type"] = content_type_of(come, given, asset.type)
            with prepared(asset, come) as content:
                return self.answer(self._updated(asset, given, content))

    @extend_schema(**docs.DESTROY)
    def destroy(self, request: Request, asset_id: uuid.UUID) -> HttpResponse:
        """Remove an asset with all its versions.

        For good: steps that name it fail from now on.
        """
        selectors.get_asset(self.caller, asset_id, WRITE)
        saving.delete_asset(asset_id=asset_id, precondition=self.if_match)
        return self.no_content()

    @extend_schema(**docs.RENDER)
    def render(self, request: Request, asset_id: uuid.UUID) -> HttpResponse:
        """Fill in the variables of a prompt.

        Every variable that it reads has to be given, and no other. What they hold is data, never read as a prompt.
        409 where the asset is no prompt.
        """
        asset = selectors.get_asset(self.caller, asset_id)
        given = body(RenderBody, request)
        if asset.type != PROMPT:
            raise Conflict(detail=f"The asset is a {asset.type}: only prompts have variables.")
        version = selectors.get_version(asset, given.get("version"))
        text = version.text or ""
        filled = _filled(text, given.get("variables", {}))
        return self.ok({"text": filled, "variables": variables_of(text), "version": version.version})

    def _project_to_write(self, project_id: uuid.UUID | None, given: uuid.UUID | None) -> Project:
        """The project of the path, or the one that the body means."""
        if project_id is None:
            return resolve_project(self.caller, given, scope=WRITE)
        project = get_visible(Project.objects.all(), self.caller, project_id, WRITE)
        require_active(project)
        if given is not None and given != project_id:
            detail = "The path names another project."
            raise InvalidBody(faults=[Fault(pointer="/project_id", code="contradiction", detail=detail)])
        return project

    def _created(self, project: Project, given: dict[str, Any], content: Content) -> HttpResponse:
        asset = saving.create_asset(project=project, actor=self.caller.actor, given=given, content=content)
        return self.answer(asset, status=201, headers={"Location": f"/v1/assets/{asset.pk}"})

    def _updated(self, asset: Asset, given: dict[str, Any], content: Content | None) -> Asset:
        return saving.update_asset(
            asset_id=asset.pk, actor=self.caller.actor, given=given, content=content, precondition=self.if_match
        )


def _without_content(given: dict[str, Any]) -> dict[str, Any]:
    """Raises InvalidBody (422): a media type is a content's, and none has come."""
    if "content_type" in given:
        detail = "It goes with a content: send it too."
        raise InvalidBody(faults=[Fault(pointer="/content", code="required", detail=detail)])
    return given


def _filled(text: str, variables: dict[str, Any]) -> str:
    """Raises InvalidBody (422)."""
    try:
        return fill(text, variables)
    except PromptFaults as wrong:
        raise InvalidBody(faults=[fault.under("/variables") for fault in wrong.faults]) from wrong
    except ExpressionError as error:
        raise InvalidBody(faults=[Fault(pointer="/variables", code=error.code, detail=error.message)]) from error
