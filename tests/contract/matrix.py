"""Who may call what: each operation that is served, the scope that it needs, and a call of it that is good.

`tests/contract/test_authorisation.py` holds the server to this table. A new route belongs here, or its test fails.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from django.urls import get_resolver

from flowforge.alerts.models import Alert
from flowforge.assets.models import Asset, AssetVersion
from flowforge.credentials.models import Credential
from flowforge.events.models import Event
from flowforge.projects.models import ApiKey, Membership, Project
from flowforge.schedules.models import Backfill, Schedule
from flowforge.triggers.models import EventTrigger
from runs.models import FailureGroup, Run, StepRun
from templates_app.models import StepTemplate
from tests import factories
from tests.support.api import Answer, ApiClient
from webhooks.models import Call, Delivery, Subscription, Webhook
from workflows.models import TriggerDecision, Workflow, WorkflowVersion

PUBLIC: Final = "public"  # no credentials
SIGNED: Final = "signed"  # a signature, or a key that the resource itself asks for: it has tests of its own
ANY: Final = ""  # whoever has valid credentials

DEFINITION: Final = {"nodes": [], "edges": []}
_NEW_KEY: Final = {"name": "new", "scopes": ["runs:read"]}
_NEW_ASSET: Final = {"type": "dataset", "label": "new", "content": "a,b"}
_NEW_CREDENTIAL: Final = {"name": "new", "type": "token", "data": {"token": "a token of tests"}}
_NEW_SCHEDULE: Final = {"name": "new", "workflow_id": "{workflow}", "cron": "@daily"}
_NEW_TEMPLATE: Final = {"name": "new", "step_type": "transform", "config": {"values": {}}}
_NEW_WORKFLOW: Final = {"name": "new", **DEFINITION}


ID_NAMES: Final = (
    *("project", "workflow", "run", "step", "key", "failure", "event", "schedule", "backfill"),
    *("webhook", "call", "subscription", "delivery", "credential", "alert", "trigger", "asset", "template"),
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Operation:
    """One method of one route. The names of `ID_NAMES` in braces stand for ids."""

    scope: str
    body: Mapping[str, Any] | None = None
    also: str = ""  # another scope, for what it reads on the way
    refused: bool = False  # the scope alone does not do for an API key: it would give away more than it has


def _reads(scope: str, *paths: str) -> dict[str, Operation]:
    return {f"GET {path}": Operation(scope=scope) for path in paths}


OPERATIONS: Final[Mapping[str, Operation]] = {
    **_reads(PUBLIC, "/v1/schema", "/v1/docs", "/v1/problems", "/v1/problems/{code}", "/v1/events/schema"),
    "POST /v1/auth/token": Operation(scope=PUBLIC, body={"username": "a", "password": "b"}),
    "POST /v1/auth/token/refresh": Operation(scope=PUBLIC, body={"refresh": "x"}),
    "POST /v1/auth/token/revoke": Operation(scope=PUBLIC, body={"refresh": "x"}),
    **_reads(ANY, "/v1/auth/me", "/v1/monitoring/health"),
    **_reads("keys:write", "/v1/api-keys", "/v1/api-keys/{key}"),
    "POST /v1/api-keys": Operation(scope="keys:write", body=_NEW_KEY, refused=True),
    "DELETE /v1/api-keys/{key}": Operation(scope="keys:write"),
    "POST /v1/api-keys/{key}:rotate": Operation(scope="keys:write", body={}, refused=True),
    **_reads("projects:read", "/v1/projects", "/v1/projects/{project}"),
    "POST /v1/projects": Operation(scope=ANY, body={"name": "new"}, refused=True),
    "PATCH /v1/projects/{project}": Operation(scope="projects:write", body={"name": "other"}),
    "DELETE /v1/projects/{project}": Operation(scope="projects:write"),
    "POST /v1/projects/{project}:freeze": Operation(scope="runs:write", body={"reason": "so"}),
    "POST /v1/projects/{project}:thaw": Operation(scope="runs:write", body={}),
    **_reads(
        "workflows:read",
        "/v1/gallery",
        "/v1/gallery/{slug}",
        "/v1/step-types",
        "/v1/workflows",
        "/v1/projects/{project}/workflows",
        "/v1/workflows/{workflow}",
        "/v1/workflows/{workflow}/versions",
        "/v1/workflows/{workflow}/versions/{number}",
        "/v1/workflows/{workflow}/graph",
        "/v1/workflows/{workflow}/export",
    ),
    "POST /v1/workflows:validate": Operation(scope="workflows:read", body=DEFINITION),
    "POST /v1/workflows/{workflow}:validate": Operation(scope="workflows:read", body=DEFINITION),
    "POST /v1/workflows": Operation(scope="workflows:write", body=_NEW_WORKFLOW),
    "POST /v1/projects/{project}/workflows": Operation(scope="workflows:write", body=_NEW_WORKFLOW),
    "POST /v1/workflows:import": Operation(
        scope="workflows:write", body={"definitions": [{"name": "imported", "definition": DEFINITION}]}
    ),
    "POST /v1/gallery/{slug}:install": Operation(scope="workflows:write", body={}),
    "PUT /v1/workflows/{workflow}": Operation(scope="workflows:write", body=_NEW_WORKFLOW),
    "PATCH /v1/workflows/{workflow}": Operation(scope="workflows:write", body={"description": "other"}),
    "DELETE /v1/workflows/{workflow}": Operation(scope="workflows:write"),
    "POST /v1/workflows/{workflow}:freeze": Operation(scope="runs:write", body={"reason": "so"}),
    "POST /v1/workflows/{workflow}:thaw": Operation(scope="runs:write", body={}),
    "POST /v1/workflows/{workflow}:duplicate": Operation(
        scope="workflows:write", also="workflows:read", body={"name": "copy"}
    ),
    "POST /v1/workflows/{workflow}:upgrade_templates": Operation(scope="workflows:write", body={}),
    "POST /v1/workflows/{workflow}:rollback": Operation(scope="workflows:write", body={"version": 1}),
    **_reads(
        "runs:read",
        "/v1/runs",
        "/v1/projects/{project}/runs",
        "/v1/workflows/{workflow}/runs",
        "/v1/runs/{run}",
        "/v1/runs/{run}/steps",
        "/v1/runs/{run}/steps/{step}/logs",
        "/v1/runs/{run}/events",
        "/v1/runs/{run}/explain",
        "/v1/projects/{project}/limits",
    ),
    "POST /v1/workflows/{workflow}:run": Operation(scope="runs:write", body={}),
    "POST /v1/workflows/{workflow}/runs": Operation(scope="runs:write", body={}),
    "POST /v1/workflows/{workflow}/runs:batch": Operation(scope="runs:write", body={"items": [{}]}),
    "POST /v1/workflows/{workflow}/execute": Operation(scope="runs:write", body={}),
    "POST /v1/runs/{run}:cancel": Operation(scope="runs:write", body={}),
    "POST /v1/runs/{run}:pause": Operation(scope="runs:write", body={}),
    "POST /v1/runs/{run}:resume": Operation(scope="runs:write", body={}),
    "POST /v1/runs/{run}:retry": Operation(scope="runs:write", body={}),
    "POST /v1/runs/{run}:replay": Operation(scope="runs:write", body={}),
    "POST /v1/runs/{run}:run_now": Operation(scope="runs:write", body={}),
    "PATCH /v1/runs/{run}": Operation(scope="runs:write", body={"priority": 7}),
    "POST /v1/runs:bulk": Operation(scope="runs:write", body={"action": "cancel", "filter": {"all": True}}),
    **_reads("runs:read", "/v1/failures", "/v1/failures/{failure}"),
    "POST /v1/failures/{failure}:retry": Operation(scope="runs:write", body={}),
    "POST /v1/failures/{failure}:resolve": Operation(scope="runs:write", body={}),
    **_reads("runs:write", "/v1/approvals"),
    "POST /v1/runs/{run}/steps/{step}:approve": Operation(scope="runs:write", body={}),
    "POST /v1/runs/{run}/steps/{step}:reject": Operation(scope="runs:write", body={}),
    "POST /v1/runs/{run}/steps/{step}:complete": Operation(scope="runs:write", body={"output": 1}),
    "POST /v1/runs/{run}/steps/{step}:override": Operation(scope="runs:write", body={"output": 1, "reason": "so"}),
    "POST /v1/events": Operation(scope="runs:write", body={"event": "order.paid"}),
    **_reads("runs:read", "/v1/events/{event}", "/v1/events/{event}/decisions"),
    **_reads(
        "schedules:read",
        "/v1/schedules",
        "/v1/projects/{project}/schedules",
        "/v1/schedules/{schedule}",
        "/v1/schedules/{schedule}/preview",
        "/v1/schedules/{schedule}/explain",
        "/v1/schedules/{schedule}/decisions",
        "/v1/schedules/{schedule}/backfills",
        "/v1/schedules/{schedule}/backfills/{backfill}",
    ),
    "POST /v1/schedules": Operation(scope="schedules:write", body=_NEW_SCHEDULE),
    "POST /v1/projects/{project}/schedules": Operation(scope="schedules:write", body=_NEW_SCHEDULE),
    "POST /v1/schedules:simulate": Operation(
        scope="schedules:read",
        body={"schedule": {"cron": "@daily"}, "from": "2026-01-01T00:00:00Z", "to": "2026-01-03T00:00:00Z"},
    ),
    "PATCH /v1/schedules/{schedule}": Operation(scope="schedules:write", body={"name": "other"}),
    "DELETE /v1/schedules/{schedule}": Operation(scope="schedules:write"),
    "POST /v1/schedules/{schedule}:pause": Operation(scope="schedules:write", body={}),
    "POST /v1/schedules/{schedule}:resume": Operation(scope="schedules:write", body={}),
    "POST /v1/schedules/{schedule}:trigger": Operation(scope="schedules:write", body={}),
    "POST /v1/schedules/{schedule}:backfill": Operation(
        scope="schedules:write", body={"from": "2025-01-01T00:00:00Z", "to": "2025-01-01T00:05:00Z"}
    ),
    "POST /v1/schedules/{schedule}/backfills/{backfill}:cancel": Operation(scope="schedules:write", body={}),
    **_reads("alerts:read", "/v1/alerts", "/v1/alerts/{alert}"),
    "POST /v1/alerts": Operation(scope="alerts:write", body={"name": "new", "metric": "no_run"}),
    "PATCH /v1/alerts/{alert}": Operation(scope="alerts:write", body={"name": "other"}),
    "DELETE /v1/alerts/{alert}": Operation(scope="alerts:write"),
    **_reads(
        "templates:read",
        "/v1/templates",
        "/v1/projects/{project}/templates",
        "/v1/templates/{template}",
        "/v1/templates/{template}/versions",
        "/v1/templates/{template}/versions/{number}",
        "/v1/templates/{template}/usage",
    ),
    "POST /v1/templates": Operation(scope="templates:write", body=_NEW_TEMPLATE),
    "POST /v1/projects/{project}/templates": Operation(scope="templates:write", body=_NEW_TEMPLATE),
    "PATCH /v1/templates/{template}": Operation(scope="templates:write", body={"name": "other"}),
    "DELETE /v1/templates/{template}": Operation(scope="templates:write"),
    "POST /v1/templates/{template}:render": Operation(scope="templates:read", body={}),
    **_reads(
        "assets:read",
        "/v1/assets",
        "/v1/projects/{project}/assets",
        "/v1/assets/{asset}",
        "/v1/assets/{asset}/content",
        "/v1/assets/{asset}/versions",
    ),
    "POST /v1/assets": Operation(scope="assets:write", body=_NEW_ASSET),
    "POST /v1/projects/{project}/assets": Operation(scope="assets:write", body=_NEW_ASSET),
    "PATCH /v1/assets/{asset}": Operation(scope="assets:write", body={"label": "other"}),
    "DELETE /v1/assets/{asset}": Operation(scope="assets:write"),
    "POST /v1/assets/{asset}:render": Operation(scope="assets:read", body={"variables": {"name": "Ada"}}),
    "POST /v1/assets/{asset}/content": Operation(scope="assets:write", body={"content": "Other."}),
    "PUT /v1/assets/{asset}/content": Operation(scope="assets:write", body={"content": "Another."}),
    **_reads(
        *("webhooks:read", "/v1/event-triggers", "/v1/event-triggers/{trigger}"),
        "/v1/event-triggers/{trigger}/decisions",
    ),
    "POST /v1/event-triggers": Operation(
        scope="webhooks:write", body={"name": "new", "workflow_id": "{workflow}", "event": "order.paid"}
    ),
    "PATCH /v1/event-triggers/{trigger}": Operation(scope="webhooks:write", body={"name": "other"}),
    "DELETE /v1/event-triggers/{trigger}": Operation(scope="webhooks:write"),
    **_reads("credentials:read", "/v1/credentials", "/v1/credentials/{credential}"),
    "POST /v1/credentials": Operation(scope="credentials:write", body=_NEW_CREDENTIAL),
    "PATCH /v1/credentials/{credential}": Operation(scope="credentials:write", body={"hosts": []}),
    "DELETE /v1/credentials/{credential}": Operation(scope="credentials:write"),
    **_reads("webhooks:read", "/v1/webhooks", "/v1/webhooks/{webhook}", "/v1/webhooks/{webhook}/deliveries"),
    "POST /v1/webhooks": Operation(scope="webhooks:write", body={"name": "new", "workflow_id": "{workflow}"}),
    "PATCH /v1/webhooks/{webhook}": Operation(scope="webhooks:write", body={"name": "other"}),
    "DELETE /v1/webhooks/{webhook}": Operation(scope="webhooks:write"),
    "POST /v1/webhooks/{webhook}:rotate_secret": Operation(scope="webhooks:write", body={}),
    "POST /v1/webhooks/{webhook}/deliveries/{call}:replay": Operation(scope="webhooks:write", body={}),
    "POST /v1/webhooks/{webhook}/deliveries:replay": Operation(scope="webhooks:write", body={"filter": {}}),
    "POST /v1/webhooks/{webhook}/ingest": Operation(scope=SIGNED, body={}),
    **_reads("webhooks:read", "/v1/subscriptions", "/v1/subscriptions/{subscription}"),
    **_reads("webhooks:read", "/v1/subscriptions/{subscription}/deliveries", "/v1/deliveries/{delivery}"),
    "POST /v1/subscriptions": Operation(
        scope="webhooks:write", body={"url": "https://93.184.215.14/hooks", "events": ["*"]}
    ),
    "PATCH /v1/subscriptions/{subscription}": Operation(scope="webhooks:write", body={"description": "other"}),
    "DELETE /v1/subscriptions/{subscription}": Operation(scope="webhooks:write"),
    "POST /v1/subscriptions/{subscription}:test": Operation(scope="webhooks:write", body={}),
    "POST /v1/subscriptions/{subscription}:rotate_secret": Operation(scope="webhooks:write", body={}),
    "POST /v1/subscriptions/{subscription}:redeliver": Operation(
        scope="webhooks:write", body={"since": "2026-01-01T00:00:00Z"}
    ),
    "POST /v1/deliveries/{delivery}:redeliver": Operation(scope="webhooks:write", body={}),
}

CLOSED: Final = {name: operation for name, operation in OPERATIONS.items() if operation.scope not in (PUBLIC, SIGNED)}
SCOPED: Final = sorted(name for name, operation in CLOSED.items() if operation.scope != ANY)
WITH_IDS: Final = sorted(name for name in CLOSED if re.search(rf"\{{({'|'.join(ID_NAMES)})\}}", name))
NAMES_PROJECT: Final = (  # those whose body says into which project they write
    "POST /v1/alerts",
    "POST /v1/api-keys",
    "POST /v1/assets",
    "POST /v1/credentials",
    "POST /v1/event-triggers",
    "POST /v1/events",
    "POST /v1/gallery/{slug}:install",
    "POST /v1/subscriptions",
    "POST /v1/templates",
    "POST /v1/webhooks",
    "POST /v1/workflows",
    "POST /v1/workflows:import",
    "POST /v1/workflows:validate",
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Place:
    """The ids of rows in one project."""

    ids: Mapping[str, str] = field(default_factory=dict)

    def call(self, name: str) -> tuple[str, str]:
        """(method, path) of an operation upon these rows."""
        method, _, path = name.partition(" ")
        return method, path.format(code="invalid", number=1, slug="order-review", **self.ids)

    def body(self, name: str) -> dict[str, Any] | None:
        """The good body of an operation; an id that one names in braces is of these rows."""
        body = OPERATIONS[name].body
        if body is None:
            return None
        named = {f"{{{kind}}}": row_id for kind, row_id in self.ids.items()}
        return {key: named.get(value, value) if isinstance(value, str) else value for key, value in body.items()}


def make_place(project: Project) -> Place:
    """A project with one row of each kind."""
    workflow = factories.make_workflow(project=project)
    run = factories.make_run(workflow=workflow)
    step = factories.make_step(run=run)
    key, _ = factories.make_api_key(project=project, scopes=["runs:read"])
    failure = factories.make_failure(workflow=workflow)
    event = Event.objects.create(project_id=project.pk, name="order.paid", source="test")
    schedule = factories.make_schedule(workflow=workflow)
    backfill = factories.make_backfill(schedule=schedule)
    webhook = Webhook.objects.create(project=project, workflow=workflow, name="hook")
    received = Call.objects.create(webhook=webhook, decision="fired", body=b"{}", content_type="application/json")
    credential = factories.make_credential(project=project)
    asset = factories.make_asset(project=project, type="prompt", content=b"Greet {{ name }}.")
    alert = Alert.objects.create(project=project, workflow=workflow, name="alert", metric="no_run")
    template = factories.make_template(project=project)
    trigger = EventTrigger.objects.create(project=project, workflow=workflow, name="trigger", event="order.paid")
    subscription = Subscription.objects.create(project=project, url="https://93.184.215.14/x", events=["*"])
    delivery = Delivery.objects.create(
        subscription=subscription, event="order.paid", body='{"event": "order.paid"}', status="dead"
    )
    work = (project, workflow, run, step, key, failure, event, schedule, backfill)
    rows = (*work, webhook, received, subscription, delivery, credential, alert, trigger, asset, template)
    return Place(ids={name: str(row.pk) for name, row in zip(ID_NAMES, rows, strict=True)})


def call(client: ApiClient, place: Place, name: str, body: dict | None = None) -> Answer:
    method, path = place.call(name)
    return client.request(method, path, place.body(name) if body is None else body)


def snapshot(project_id: str) -> list:
    """All that a stranger could have changed."""
    owned = {"project_id": project_id}
    return [
        list(Project.objects.filter(pk=project_id).values()),
        list(ApiKey.objects.filter(**owned).order_by("pk").values()),
        list(Membership.objects.filter(**owned).order_by("pk").values()),
        list(Workflow.objects.filter(**owned).order_by("pk").values()),
        list(WorkflowVersion.objects.filter(workflow__project_id=project_id).order_by("pk").values()),
        list(Run.objects.filter(**owned).order_by("pk").values()),
        list(StepRun.objects.filter(run__project_id=project_id).order_by("pk").values()),
        list(FailureGroup.objects.filter(**owned).order_by("pk").values()),
        list(Event.objects.filter(**owned).order_by("pk").values()),
        list(Schedule.objects.filter(**owned).order_by("pk").values()),
        list(Backfill.objects.filter(schedule__project_id=project_id).order_by("pk").values()),
        list(TriggerDecision.objects.filter(**owned).order_by("pk").values()),
        list(Webhook.objects.filter(**owned).order_by("pk").values()),
        list(Alert.objects.filter(**owned).order_by("pk").values()),
        list(StepTemplate.objects.filter(**owned).order_by("pk").values()),
        list(Asset.objects.filter(**owned).order_by("pk").values()),
        list(AssetVersion.objects.filter(**owned).order_by("pk").values()),
        list(EventTrigger.objects.filter(**owned).order_by("pk").values()),
        list(Credential.objects.filter(**owned).order_by("pk").values()),
        list(Call.objects.filter(webhook__project_id=project_id).order_by("pk").values()),
        list(Subscription.objects.filter(**owned).order_by("pk").values()),
        list(Delivery.objects.filter(subscription__project_id=project_id).order_by("pk").values()),
    ]


def served() -> Iterator[tuple[str, str]]:
    """(method, route) of all that hangs below /v1, as Django writes routes."""
    for route, callback in _routes(get_resolver("flowforge.urls"), "/"):
        if route.startswith("/v1"):
            yield from ((method.upper(), route) for method in callback.actions if method != "head")


def _routes(resolver: Any, prefix: str) -> Iterator[tuple[str, Any]]:
    for entry in resolver.url_patterns:
        here = prefix + str(entry.pattern)
        if hasattr(entry, "url_patterns"):
            yield from _routes(entry, here)
        else:
            yield here, entry.callback
