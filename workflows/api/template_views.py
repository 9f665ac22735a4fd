"""Workflows and the step templates that they use: where one is used, and how they come to its newest version."""

import uuid

from django.http import HttpResponse
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request

from flowforge.api.pagination import Page
from flowforge.api.serializers import body
from templates_app.selectors import get_template
from workflows import present
from workflows.api import template_docs as docs
from workflows.api.base import WRITE, WorkflowViews
from workflows.api.serializers import UpgradeBody
from workflows.selectors import get_workflow, uses_of_template
from workflows.services.saving import upgrade_templates

READ_TEMPLATES = "templates:read"


class TemplateUsageViewSet(WorkflowViews):
    """`/v1/templates/{id}/usage`."""

    scopes = {"usage": READ_TEMPLATES}
    query_params = {"usage": ("outdated",)}

    @extend_schema(**docs.USAGE)
    def usage(self, request: Request, template_id: uuid.UUID) -> HttpResponse:
        """List the workflows that use a step template in their current version, newest use first.

        Those alone that the caller may read (`workflows:read`). A workflow whose nodes have several versions of the
        template comes once for each.
        """
        template = get_template(self.caller, template_id, READ_TEMPLATES)
        rows = uses_of_template(self.caller, template.pk)
        wanted = self.choice("outdated", ("all", "true", "false"), "all")
        if wanted == "true":
            rows = rows.filter(template_version__lt=template.version)
        elif wanted == "false":
            rows = rows.filter(template_version=template.version)
        page = self.page(rows)
        shown = [present.template_use(row, template.version) for row in page.rows]
        return self.ok(Page(rows=shown, meta=page.meta))


class TemplateUpgradeViewSet(WorkflowViews):
    """`/v1/workflows/{id}:upgrade_templates`."""

    scopes = {"upgrade": WRITE}
    errors = {"upgrade": (409, 412, 422)}

    @extend_schema(**docs.UPGRADE)
    def upgrade(self, request: Request, workflow_id: uuid.UUID) -> HttpResponse:
        """Bring a workflow to the newest versions of its step templates.

        Of the one that `template_id` names, or of all. A new version of the workflow, unless it has them already; 422
        where the parameters of a node do not fit, and then nothing changes.
        """
        get_workflow(self.caller, workflow_id, WRITE)
        given = body(UpgradeBody, request) if request.body else {}
        version = upgrade_templates(
            workflow_id=workflow_id,
            template_id=given.get("template_id"),
            caller=self.caller,
            precondition=self.if_match,
        )
        return self.answer(version)
