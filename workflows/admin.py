"""Workflows for people with the admin: what they do goes through the services that the API calls."""

from textwrap import shorten
from typing import Any

from django.contrib import admin
from django.db.models import Model, QuerySet
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.safestring import SafeString
from unfold.contrib.filters.admin import AutocompleteSelectFilter, ChoicesRadioFilter, RadioFilter
from unfold.decorators import display

from flowforge.api.caller import Caller
from flowforge.core.errors import NotFound
from flowforge.operating.commands import freezing, shown_freeze
from flowforge.staff import shown
from flowforge.staff.commands import Command
from flowforge.staff.pages import ManyRowsAdmin, ProjectRowsAdmin
from workflows.constants import DECISIONS
from workflows.models import TriggerDecision, Workflow, WorkflowVersion
from workflows.ports import runs_port
from workflows.selectors import definition_of, get_version
from workflows.services import yaml_text
from workflows.services.files import exported
from workflows.services.forms import Written
from workflows.services.saving import Attributes, archive_workflow, update_workflow

VERSIONS_SHOWN = 50  # the newest


def _set_status(caller: Caller, workflow: Workflow, status: str) -> None:
    attributes = Attributes(status=status)
    update_workflow(workflow_id=workflow.pk, attributes=attributes, written=Written(parts={}), caller=caller)


@admin.register(Workflow)
class WorkflowAdmin(ProjectRowsAdmin):
    """Read-only rows: a definition is changed by the API, where it is validated and versioned."""

    list_display = ("shown_name", "shown_status", "project", "version", "shown_tags", "last_run", "updated_at")
    list_filter = (("status", ChoicesRadioFilter), ("project", AutocompleteSelectFilter))
    list_select_related = ("project",)
    search_fields = ("name", "description")
    search_help_text = "Part of a name or a description"
    sortable_by = None  # a project's are few
    fields = ("id", "shown_freeze", "created_at", "updated_at")
    commands = (
        Command(
            name="pause",
            title="Pause workflow",
            explanation="No new runs begin until it is activated again; runs that are under way go on.",
            done="paused",
            carry_out=lambda caller, workflow: _set_status(caller, workflow, Workflow.Status.PAUSED),
            applies=lambda workflow: workflow.status == Workflow.Status.ACTIVE,
            icon="pause",
        ),
        Command(
            name="activate",
            title="Activate workflow",
            explanation="New runs may begin.",
            done="active",
            carry_out=lambda caller, workflow: _set_status(caller, workflow, Workflow.Status.ACTIVE),
            applies=lambda workflow: workflow.status != Workflow.Status.ACTIVE,
            icon="play_arrow",
        ),
        *freezing("workflow"),
        Command(
            name="archive",
            title="Archive workflow",
            explanation="It begins no more runs and leaves the lists of the API. Refused while runs are under way.",
            done="archived",
            carry_out=lambda caller, workflow: archive_workflow(workflow_id=workflow.pk, caller=caller),
            applies=lambda workflow: workflow.status != Workflow.Status.ARCHIVED,
            icon="archive",
            destructive=True,
        ),
    )

    def get_changelist_instance(self, request: HttpRequest) -> Any:
        """With the newest run of each workflow on the page, in one query."""
        changelist = super().get_changelist_instance(request)
        changelist.result_list = list(changelist.result_list)
        if request.user.has_perm("runs.view_run"):
            newest = runs_port().last_runs([workflow.pk for workflow in changelist.result_list])
            for workflow in changelist.result_list:
                workflow.newest_run = newest.get(workflow.pk)
        return changelist

    def render_change_form(self, request: HttpRequest, context: Any, *args: Any, **kwargs: Any) -> HttpResponse:
        """With the version that `?version=` names, or the current one."""
        workflow: Workflow = kwargs["obj"]
        context |= {"workflow": workflow, "title": workflow.name, "subtitle": None}
        context |= _version(workflow, request.GET.get("version", ""))
        answer: HttpResponse = super().render_change_form(request, context, *args, **kwargs)
        return answer

    def name_of(self, row: Model) -> str:
        return f"Workflow {row}"

    @display(description="workflow", header=True, ordering="name")  # type: ignore[untyped-decorator]  # unfold has no types
    def shown_name(self, workflow: Workflow) -> list[str]:
        return [workflow.name, shorten(workflow.description, 80, placeholder="…")]

    @admin.display(description="status", ordering="status")
    def shown_status(self, workflow: Workflow) -> SafeString:
        return shown.label(workflow.status)

    @admin.display(description="freeze")
    def shown_freeze(self, workflow: Workflow) -> str:
        return shown_freeze(workflow)

    @display(description="tags", label=True)  # type: ignore[untyped-decorator]  # unfold has no types
    def shown_tags(self, workflow: Workflow) -> list[str]:
        return [*workflow.tags[:5]]

    @admin.display(description="newest run", empty_value="–")
    def last_run(self, workflow: Any) -> SafeString | None:
        newest = getattr(workflow, "newest_run", None)
        if newest is None:
            return None
        run_id, status = newest
        return shown.label(status, href=reverse("admin:runs_run_change", args=[run_id]))


def _version(workflow: Workflow, wanted: str) -> dict[str, Any]:
    """What the page shows of a version, and which there are."""
    version = _chosen(workflow, int(wanted) if wanted.isdecimal() and len(wanted) < 9 else workflow.version)
    definition = definition_of(version.pk)
    versions = WorkflowVersion.objects.filter(workflow=workflow).select_related("created_by").order_by("-version")
    picture = shown.picture(definition)
    return {
        "version": version,
        "node_count": len(definition.nodes),
        "picture": picture,
        # a graph that is too large to draw is too large to write out within a request
        "text": picture and shown.shortened(yaml_text.dump(exported(version)["definition"])),
        "versions": versions.defer("definition")[: VERSIONS_SHOWN + 1],
        "versions_shown": VERSIONS_SHOWN,
    }


def _chosen(workflow: Workflow, number: int) -> WorkflowVersion:
    """That version, or the current one if there is no such."""
    try:
        version = get_version(workflow.pk, number)
    except NotFound:
        version = get_version(workflow.pk, workflow.version)
    version.workflow = workflow
    return version


class DecisionFilter(RadioFilter):
    """The choices are known, so that no query looks for them."""

    title = "decision"
    parameter_name = "decision"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(decision, decision) for decision in DECISIONS]

    def queryset(self, request: HttpRequest, queryset: QuerySet[TriggerDecision]) -> QuerySet[TriggerDecision]:
        wanted = self.value()
        return queryset.filter(decision=wanted) if wanted in DECISIONS else queryset


@admin.register(TriggerDecision)
class TriggerDecisionAdmin(ManyRowsAdmin):
    """What triggers did with their ticks, calls and events."""

    list_display = ("created_at", "trigger", "shown_decision", "reason", "due_at", "detail")
    list_filter = (DecisionFilter, ("project", AutocompleteSelectFilter))
    list_filter_submit = True
    search_fields = ("trigger_id",)
    search_help_text = "Id of a trigger"
    fields = (
        *("id", "created_at", "project", "trigger_type", "trigger_id"),
        *("decision", "reason", "detail", "due_at", "until_at", "run_id"),
    )

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[TriggerDecision], search_term: str
    ) -> tuple[QuerySet[TriggerDecision], bool]:
        """By the whole id: its index has no parts of it."""
        return (queryset.filter(trigger_id=search_term.strip()) if search_term else queryset), False

    @admin.display(description="trigger")
    def trigger(self, row: TriggerDecision) -> str:
        return f"{row.trigger_type} {row.trigger_id}"

    @admin.display(description="decision")
    def shown_decision(self, row: TriggerDecision) -> SafeString:
        page = None if row.run_id is None else reverse("admin:runs_run_change", args=[row.run_id])
        return shown.label(row.decision, href=page)
