"""Lists and pages cost a bounded number of queries, whatever they hold; what is searched has an index."""

import uuid
from collections.abc import Callable
from datetime import timedelta

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from flowforge.core.ids import new_id
from runs import report
from runs.models import Run, RunEvent
from tests import factories
from tests.admin.conftest import World

QUERIES = {  # at most, session and person among them
    "index": 6,
    "runs/run list": 6,
    "runs/run page": 13,
    "workflows/workflow list": 6,
    "workflows/workflow page": 11,
    "projects/project list": 5,
    "projects/project page": 12,
    "projects/user list": 5,
    "projects/apikey list": 5,
    "projects/apikey page": 6,
    "projects/tokenfamily list": 5,
    "workers/worker list": 5,
    "workers/worker page": 4,
    "alerts/alert list": 5,
    "assets/asset list": 5,
    "assets/asset page": 6,
    "alerts/alert page": 6,
    "triggers/eventtrigger list": 5,
    "triggers/eventtrigger page": 11,
    "credentials/credential list": 5,
    "credentials/credential page": 5,
    "templates_app/steptemplate list": 5,
    "templates_app/steptemplate page": 6,
    "schedules/schedule list": 5,
    "schedules/schedule page": 11,
    "schedules/backfill list": 5,
    "schedules/backfill page": 5,
    "workflows/triggerdecision list": 5,
    "workflows/triggerdecision page": 5,
    "webhooks/webhook list": 5,
    "webhooks/webhook page": 6,
    "webhooks/call list": 6,
    "webhooks/call page": 8,
    "webhooks/subscription list": 5,
    "webhooks/subscription page": 6,
    "webhooks/delivery list": 6,
    "webhooks/delivery page": 8,
}
Counter = Callable[[], CaptureQueriesContext]


@pytest.mark.parametrize("name", QUERIES)
def test_it_works(superuser: Client, world: World, query_counter: Counter, name: str) -> None:
    path = world.pages()[name]
    superuser.get(path)  # what a process keeps (content types, definitions) is read once
    with query_counter() as before:
        assert superuser.get(path).status_code == 200
    for _ in range(5):
        workflow = factories.make_workflow(project=factories.make_project())
        run = factories.make_run(workflow=workflow, created_by="system")
        factories.make_step(run=run)
        factories.make_worker()
        factories.make_credential(project=workflow.project)
        factories.make_asset(project=workflow.project)
        factories.make_template(project=workflow.project)
        factories.make_backfill(schedule=factories.make_schedule(workflow=workflow))
        factories.make_api_key(project=workflow.project, created_by=factories.make_user())
        factories.make_version(workflow=world.workflow, version=workflow.version + Run.objects.count())
    with query_counter() as after:
        superuser.get(path)
    assert len(after) <= QUERIES[name]
    assert len(after) == len(before)


def test_it_rejects_an_unknown_filter(superuser: Client, world: World) -> None:
    assert superuser.get("/admin/runs/run/", {"nonsense": "1"}).status_code == 302
    for query in ({"status": "nonsense"}, {"newer_than": "1' OR 1"}, {"q": "'; DROP TABLE"}, {"p": "99999"}):
        assert superuser.get("/admin/runs/run/", query).status_code == 200


def listed(client: Client, **query: str) -> set[object]:
    return {run.pk for run in client.get("/admin/runs/run/", query).context["cl"].result_list}


def test_runs_are_found(superuser: Client, world: World) -> None:
    ended = factories.make_run(workflow=factories.make_workflow(project=world.project, name="Other"), status="failed")
    assert listed(superuser) == {world.run.pk, ended.pk}
    assert listed(superuser, status="live") == {world.run.pk}
    assert listed(superuser, status="failed") == {ended.pk}
    assert listed(superuser, status="waiting") == set()
    assert listed(superuser, q="oTHer") == {ended.pk}
    assert listed(superuser, q=str(world.run.pk)) == {world.run.pk}
    assert listed(superuser, q=world.run.pk.hex) == {world.run.pk}
    assert listed(superuser, workflow__id__exact=str(world.workflow.pk)) == {world.run.pk}


def test_runs_are_found_by_age(superuser: Client, world: World) -> None:
    """A run's id tells when it was created."""
    milliseconds = int((timezone.now() - timedelta(hours=2)).timestamp() * 1000)
    old = uuid.UUID(int=milliseconds << 80 | new_id().int & ((1 << 80) - 1))
    Run.objects.all().delete()
    factories.make_run(workflow=world.workflow, id=old)
    young = factories.make_run(workflow=world.workflow)
    assert listed(superuser, newer_than="1h") == {young.pk}
    assert listed(superuser, newer_than="1d") == {young.pk, old}


def test_the_newest_runs_are_read_from_an_index(superuser: Client, world: World, query_counter: Counter) -> None:
    """A page of a million runs is the end of the primary key: nothing is sorted, nothing counted."""
    with query_counter() as queries:
        superuser.get("/admin/runs/run/")
    statements = [query["sql"] for query in queries if '"runs_run"' in query["sql"]]
    assert len(statements) == 1
    assert "COUNT(" not in statements[0]
    assert "JOIN" not in statements[0]
    plan = explained(statements[0])
    assert "TEMP B-TREE" not in plan
    assert "Sort" not in plan


def explained(sql: str) -> str:
    """How the database would go about it; PostgreSQL as if the table were not a handful of rows."""
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute("SET LOCAL enable_seqscan = off; SET LOCAL enable_bitmapscan = off")
        cursor.execute(f"EXPLAIN {'QUERY PLAN ' if connection.vendor == 'sqlite' else ''}{sql}")
        return str(cursor.fetchall())


def test_a_long_history_is_cut(superuser: Client, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Log lines are stepped over, but no more than a window of them."""
    monkeypatch.setattr(report, "HISTORY_WINDOW", 20)
    monkeypatch.setattr(report, "HISTORY_LENGTH", 3)
    RunEvent.objects.bulk_create(
        RunEvent(run=world.run, seq=seq, event="step.log" if seq % 2 else "step.waiting", data={"node_id": f"at-{seq}"})
        for seq in range(100, 131)
    )
    Run.objects.update(event_seq=130)
    history = superuser.get(f"/admin/runs/run/{world.run.pk}/change/").content.decode().partition('id="run-history"')[2]
    assert [seq for seq in range(100, 131) if f"at-{seq}<" in history] == [126, 128, 130]
    assert "The newest 3" in history
    assert "run.created" not in history


def test_the_page_of_a_version(superuser: Client, world: World) -> None:
    nodes = [{"id": "newer", "type": "transform", "config": {}}]
    factories.make_version(workflow=world.workflow, version=2, definition={"nodes": nodes, "edges": []})
    type(world.workflow).objects.update(version=2)
    path = world.pages()["workflows/workflow page"]
    assert ">newer<" in superuser.get(path).content.decode()
    old = superuser.get(path, {"version": "1"}).content.decode()
    assert "not the current one" in old
    assert ">load<" in old
    for nonsense in ("99", "x", "9" * 50):
        assert ">newer<" in superuser.get(path, {"version": nonsense}).content.decode()


def test_a_workflow_that_is_too_large_to_draw(superuser: Client, world: World) -> None:
    nodes = [{"id": f"n{number}", "type": "transform", "config": {}} for number in range(201)]
    workflow = factories.make_workflow(project=world.project, definition={"nodes": nodes, "edges": []})
    page = superuser.get(f"/admin/workflows/workflow/{workflow.pk}/change/").content.decode()
    assert "201 steps are too many for a picture" in page
    assert "<svg" not in page


def test_empty_pages_say_so(superuser: Client, db: None) -> None:
    assert "There are no runs yet." in superuser.get("/admin/runs/run/").content.decode()
    assert "There are no runs that match." in superuser.get("/admin/runs/run/?q=x").content.decode()
    assert "No workflow has run yet" in superuser.get("/admin/").content.decode()
    workflow = factories.make_workflow(project=factories.make_project(), definition={"nodes": [], "edges": []})
    run = factories.make_run(workflow=workflow)
    page = superuser.get(f"/admin/runs/run/{run.pk}/change/").content.decode()
    for text in ("This workflow has no steps", "No step has begun", "Nothing has happened yet"):
        assert text in page
    assert (
        "This version has no steps"
        in superuser.get(f"/admin/workflows/workflow/{workflow.pk}/change/").content.decode()
    )
