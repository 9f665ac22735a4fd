"""The gallery: what there is, one of it, and a copy for a project."""

from django.http import HttpResponse
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request

from flowforge.api.idempotency import idempotent
from flowforge.api.pagination import page_params, slice_of
from flowforge.api.serializers import body
from flowforge.projects.selectors import resolve_project
from workflows import present
from workflows.api import gallery_docs as docs
from workflows.api.base import READ, WRITE, WorkflowViews
from workflows.api.serializers import InstallBody
from workflows.services.gallery import gallery, item, mermaid
from workflows.services.installing import install_item


class GalleryViewSet(WorkflowViews):
    """`/v1/gallery`."""

    scopes = {"list": READ, "retrieve": READ, "install": WRITE}
    query_params = {"list": ("tag", "step_type")}

    @extend_schema(**docs.LIST)
    def list(self, request: Request) -> HttpResponse:
        """List the gallery: whole workflows that ship with FlowForge, by their slugs."""
        tag, step_type = request.GET.get("tag"), request.GET.get("step_type")
        found = [
            present.gallery_row(one)
            for one in gallery()
            if (tag is None or tag in one.tags) and (step_type is None or step_type in one.step_types)
        ]
        return self.ok(slice_of(found, page_params(request)))

    @extend_schema(**docs.RETRIEVE)
    def retrieve(self, request: Request, slug: str) -> HttpResponse:
        """Read a workflow of the gallery: its definition, its picture, inputs to try.

        In the definition, `workflow_id: gallery:<slug>` stands for another workflow of the gallery, which is installed
        with it. `triggers` has bodies for `POST /v1/schedules`, `POST /v1/webhooks` and `POST /v1/event-triggers`
        that suit it; they want the `workflow_id` of the installed one.
        """
        shown = present.gallery_item(item(slug), mermaid(slug))
        return self.ok(shown, etag_of=shown)

    @extend_schema(**docs.INSTALL)
    @idempotent
    def install(self, request: Request, slug: str) -> HttpResponse:
        """Copy a workflow of the gallery into a project, where it is a workflow like any other.

        Every call makes a new one. Without a `name` it is called by its slug, and by `slug (2)` and so on where that
        is taken. The workflows that it starts are installed with it, unless the project has them unaltered and active:
        then it starts those. 422 where the project does not allow one of its `step_types`.
        """
        found = item(slug)
        given = body(InstallBody, request)
        project = resolve_project(self.caller, given.get("project_id"), scope=WRITE)
        version = install_item(slug=found.slug, project=project, name=given.get("name"), caller=self.caller)
        return self.answer_created(version)
