"""A small world that an enemy wrote, people who look at it, and a browser."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import Permission
from django.test import Client

from flowforge.alerts.models import Alert
from flowforge.assets.models import Asset
from flowforge.core import clock
from flowforge.credentials.models import Credential
from flowforge.projects.models import ApiKey, Project, TokenFamily, User
from flowforge.schedules.models import Backfill, Schedule
from flowforge.triggers.models import EventTrigger
from flowforge.workers.models import Worker
from runs.models import Run, RunEvent
from templates_app.models import StepTemplate
from tests import factories
from tests.admin import devtools
from tests.admin.devtools import Chromium, Page
from webhooks.models import Call, Delivery, Subscription, Webhook
from workflows.models import TriggerDecision, Workflow

EVIL = "<script>alert(1)</script><img src=x onerror=alert(2)>\"'{{ 7 * 7 }}"


@dataclass(frozen=True, kw_only=True)
class World:
    """A row of every kind, with hostile text wherever a client may put text."""

    project: Project
    workflow: Workflow
    run: Run
    key: ApiKey
    person: User
    login: TokenFamily
    worker: Worker
    schedule: Schedule
    backfill: Backfill
    decision: TriggerDecision
    webhook: Webhook
    call: Call
    subscription: Subscription
    delivery: Delivery
    credential: Credential
    alert: Alert
    asset: Asset
    template: StepTemplate
    event_trigger: EventTrigger

    def pages(self) -> dict[str, str]:
        """Every page of the admin that staff may look at, by a name."""
        rows = {
            "runs/run": self.run,
            "workflows/workflow": self.workflow,
            "projects/project": self.project,
            "projects/user": self.person,
            "projects/apikey": self.key,
            "projects/tokenfamily": self.login,
            "workers/worker": self.worker,
            "schedules/schedule": self.schedule,
            "schedules/backfill": self.backfill,
            "workflows/triggerdecision": self.decision,
            "webhooks/webhook": self.webhook,
            "webhooks/call": self.call,
            "webhooks/subscription": self.subscription,
            "webhooks/delivery": self.delivery,
            "credentials/credential": self.credential,
            "alerts/alert": self.alert,
            "assets/asset": self.asset,
            "templates_app/steptemplate": self.template,
            "triggers/eventtrigger": self.event_trigger,
        }
        pages = {"index": "/admin/", "search": "/admin/runs/run/?q=script", "empty": "/admin/runs/run/?q=nothing"}
        for name, row in rows.items():
            pages[f"{name} list"] = f"/admin/{name}/"
            pages[f"{name} page"] = f"/admin/{name}/{row.pk}/change/"
            pages[f"{name} history"] = f"/admin/{name}/{row.pk}/history/"
        return pages


@pytest.fixture(autouse=True)
def _no_broker(bell: object) -> None:
    """No command rings for an engine."""


@pytest.fixture
def world(db: None) -> World:
    project = factories.make_project(name=EVIL, settings={"note": EVIL})
    person = factories.make_user(project=project, role="editor", first_name=EVIL, last_name=EVIL)
    key, _ = factories.make_api_key(project=project, name=EVIL, created_by=person)
    workflow = _workflow(project)
    login = TokenFamily.objects.create(user=person, refresh_jti="jti", expires_at=clock.now() + timedelta(days=7))
    run = _run(workflow, f"key:{key.pk}")
    pool = {"slots": 1, "busy": 0, "heard_at": None, "hint_at": None}
    worker = factories.make_worker(host=EVIL, version=EVIL[:40], pools={EVIL: pool})
    schedule = factories.make_schedule(workflow=workflow, name=EVIL, inputs={EVIL: EVIL}, created_by=EVIL[:80])
    decision = TriggerDecision.objects.create(
        project=project, trigger_type="schedule", trigger_id=str(schedule.pk), decision="fired", reason="on_time",
        detail=EVIL, due_at=clock.now(), run_id=run.pk,
    )  # fmt: skip
    webhook = Webhook.objects.create(project=project, workflow=workflow, name=EVIL, event_filter=EVIL, dedupe=EVIL)
    subscription = Subscription.objects.create(
        project=project, url=f"https://x/{EVIL}", events=[EVIL], description=EVIL
    )
    return World(
        project=project,
        workflow=workflow,
        run=run,
        key=key,
        person=person,
        login=login,
        worker=worker,
        schedule=schedule,
        backfill=factories.make_backfill(schedule=schedule),
        decision=decision,
        alert=Alert.objects.create(project=project, workflow=workflow, name=EVIL, metric="no_run", error=EVIL),
        event_trigger=EventTrigger.objects.create(
            project=project, workflow=workflow, name=EVIL, event=EVIL[:100], match=EVIL, input_mapping={EVIL: EVIL},
            dedupe=EVIL,
        ),
        asset=factories.make_asset(project=project, type="snippet", label=EVIL, metadata={EVIL: EVIL}),
        credential=factories.make_credential(project=project, created_by=EVIL[:80], hosts=[EVIL]),
        template=factories.make_template(project=project, name=EVIL, description=EVIL, config={EVIL: EVIL}),
        webhook=webhook,
        call=Call.objects.create(
            webhook=webhook, decision="rejected", reason="invalid", detail=EVIL, event=EVIL, headers={EVIL: EVIL},
            query={EVIL: EVIL}, body=EVIL.encode(),
        ),
        subscription=subscription,
        delivery=Delivery.objects.create(
            subscription=subscription, event=EVIL[:100], body=EVIL, status="dead", attempts=[{"body": EVIL}],
        ),
    )  # fmt: skip


def _workflow(project: Project) -> Workflow:
    nodes: list[dict[str, Any]] = [
        {"id": "fetch", "name": EVIL, "type": "transform", "config": {"values": {"note": EVIL}}},
        {"id": "load", "type": "transform", "config": {"values": {}}, "retry": {"max_attempts": 3}},
        {"id": "report", "type": "transform", "config": {"values": {}}},
    ]
    edges = [{"source": "fetch", "target": "load", "when": EVIL}, {"source": "load", "target": "report"}]
    return factories.make_workflow(
        project=project, name=EVIL, description=EVIL, tags=[EVIL], definition={"nodes": nodes, "edges": edges}
    )


def _run(workflow: Workflow, starter: str) -> Run:
    """Two attempts of `load` failed, a third runs; each told by its events."""
    begin = clock.now() - timedelta(seconds=90)
    run = factories.make_run(
        workflow=workflow,
        status="running",
        started_at=begin,
        steps_total=3,
        steps_completed=1,
        retries=1,
        inputs={EVIL: EVIL},
        metadata={"why": EVIL},
        created_by=starter,
        trigger_id=EVIL[:60],
        status_reason=EVIL,
    )
    error = {"code": "python_error", "message": EVIL}
    fetch = factories.make_step(
        run=run, node_id="fetch", status="completed", attempt=1, output={"x": EVIL}, started_at=begin,
        finished_at=begin + timedelta(seconds=20), branch=EVIL,
    )  # fmt: skip
    load = factories.make_step(
        run=run, node_id="load", status="running", attempt=2, error=error, started_at=begin + timedelta(seconds=60),
        worker=EVIL[:80], position=1,
    )  # fmt: skip
    told = [
        (0, None, "run.created", {"status": "pending"}),
        (0, fetch, "step.started", {"node_id": "fetch", "attempt": 1}),
        (10, fetch, "step.log", {"node_id": "fetch", "level": "info", "message": EVIL}),
        (20, fetch, "step.completed", {"node_id": "fetch", "attempt": 1}),
        (20, load, "step.started", {"node_id": "load", "attempt": 1}),
        (40, load, "step.retrying", {"node_id": "load", "attempt": 1, "error": error}),
        (60, load, "step.started", {"node_id": "load", "attempt": 2}),
    ]
    RunEvent.objects.bulk_create(
        RunEvent(run=run, seq=seq, at=begin + timedelta(seconds=at), event=event, step_id=step and step.pk, data=data)
        for seq, (at, step, event, data) in enumerate(told, start=1)
    )
    Run.objects.filter(pk=run.pk).update(event_seq=len(told))
    run.refresh_from_db()
    return run


@pytest.fixture
def staff(db: None) -> Callable[..., Client]:
    """`staff("view_run")`: a browser of somebody with these permissions alone."""

    def make(*codenames: str, **fields: Any) -> Client:
        user = factories.make_user(is_staff=True, **fields)
        user.user_permissions.set(Permission.objects.filter(codename__in=codenames))
        client = Client()
        client.force_login(user)
        return client

    return make


@pytest.fixture
def superuser(staff: Callable[..., Client]) -> Client:
    return staff(is_superuser=True)


# --- the browser --------------------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def chromium() -> Iterator[Chromium]:
    """One process for all tests, each of which has pages of its own."""
    path = devtools.find()
    assert path is not None, "without a browser, test_browser.py is skipped"
    with Chromium(path) as browser:
        yield browser


@pytest.fixture
def visit(chromium: Chromium, live_server: Any, request: pytest.FixtureRequest) -> Iterator[Callable[..., Page]]:
    """`visit(client)`: a page for whom that client is logged in as; what went wrong in it fails the test at its end."""
    pages: list[Page] = []

    def open_page(client: Client | None = None, **look: Any) -> Page:
        page = chromium.page(live_server.url, **look)
        if client is not None:
            value = client.cookies["sessionid"].value
            page.call(
                "Network.setCookie", name="sessionid", value=value, url=f"{live_server.url}/admin/", path="/admin/"
            )
        pages.append(page)
        return page

    yield open_page
    assert [fault for page in pages for fault in page.faults] == []
    assert any(page.requested for page in pages)
