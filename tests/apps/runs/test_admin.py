"""Runs in the admin: read, and steered through the services."""

import pytest
from django.contrib.auth.models import Permission
from django.test import Client

from flowforge.core import clock
from runs.models import Run, RunEvent
from tests import factories

URL = "/admin/runs/run/"


@pytest.fixture
def admin(db):
    client = Client()
    client.force_login(factories.make_user(is_staff=True, is_superuser=True))
    return client


@pytest.fixture
def run(chain, log_lines, end):
    run = factories.make_run(
        workflow=chain, steps_total=2, inputs={"day": "monday"}, started_at=clock.now(), status="running"
    )
    step = factories.make_step(run=run, node_id="extract", status="failed", attempt=1, output={"rows": 3})
    RunEvent.objects.create(run=run, seq=1, event="run.created", data={"status": "pending"})
    RunEvent.objects.create(
        run=run,
        seq=2,
        event="step.failed",
        step_id=step.id,
        data={"node_id": "extract", "attempt": 1, "error": {"code": "x", "message": "<script>alert(1)</script>"}},
    )
    log_lines(step, 2)
    return run


def detail(run):
    return f"{URL}{run.pk}/change/"


def text_of(response):
    assert response.status_code == 200, response
    return response.content.decode()


def test_it_works(admin, run, chain, end):
    listing = text_of(admin.get(URL, {"q": chain.name}))
    assert str(run.pk) in listing
    assert "running" in listing
    assert str(run.pk) not in text_of(admin.get(URL, {"status": "failed"}))

    page = text_of(admin.get(detail(run)))

    assert "ffg-title" in page  # of the picture
    assert "s-failed" in page
    assert "run.created" in page
    assert "line 2" in page
    assert "&quot;rows&quot;: 3" in page
    assert "&quot;day&quot;: &quot;monday&quot;" in page


def test_it_rejects_writing(admin, run):
    assert admin.get(f"{URL}add/").status_code == 403
    assert admin.post(f"{URL}{run.pk}/delete/", {"post": "yes"}).status_code == 403
    assert admin.post(detail(run), {"status": "completed"}).status_code == 403
    run.refresh_from_db()
    assert run.status == "running"


def test_what_clients_wrote_is_text(admin, run):
    page = text_of(admin.get(detail(run)))

    assert "<script>alert" not in page
    assert "&lt;script&gt;alert" in page


def test_actions_go_through_the_services(admin, run, chain, end, bell, django_capture_on_commit_callbacks):
    ended = end(factories.make_run(workflow=chain))
    chosen = {"_selected_action": [str(run.pk), str(ended.pk)], "confirmed": "yes"}

    for action, column, is_set, done in (
        ("pause", "pause_requested_at", True, "asked to pause"),
        ("resume", "pause_requested_at", False, "asked to go on"),
        ("cancel", "cancel_requested_at", True, "asked to end"),
    ):
        with django_capture_on_commit_callbacks(execute=True):
            page = text_of(admin.post(URL, {"action": action, **chosen}, follow=True))
        run.refresh_from_db()
        assert (getattr(run, column) is not None) == is_set
        assert f"{done}." in page
        assert "has ended already" in page

    assert bell.driven == [run.id] * 3
    assert Run.objects.get(pk=ended.pk).cancel_requested_at is None


def test_what_has_ended_is_retried_and_replayed_through_the_services(admin, chain, end):
    failed = end(factories.make_run(workflow=chain, inputs={"day": "monday"}), "failed")
    done = end(factories.make_run(workflow=chain, inputs={"day": "monday"}))
    chosen = {"_selected_action": [str(failed.pk), str(done.pk)]}
    offered = "/retry"
    assert offered in text_of(admin.get(detail(failed)))
    assert offered not in text_of(admin.get(detail(done)))

    page = text_of(admin.post(URL, {"action": "retry", **chosen}, follow=True))
    assert "going on as the next attempt." in page
    assert "it is completed" in page
    failed.refresh_from_db()
    assert (failed.status, failed.attempt) == ("running", 2)

    assert "2 runs: started anew." in text_of(admin.post(URL, {"action": "replay", **chosen}, follow=True))
    assert set(Run.objects.filter(trigger_type="replay").values_list("replay_of", flat=True)) == {failed.pk, done.pk}


def test_groups_of_failures_are_listed_retried_and_resolved(admin, chain):
    group = factories.make_failure(workflow=chain)
    failed = factories.make_run(workflow=chain, status="failed", failure_id=group.pk)
    url, chosen = "/admin/runs/failuregroup/", {"_selected_action": [str(group.pk)], "confirmed": "yes"}
    assert "waited &lt;n&gt; s" in text_of(admin.get(url))
    assert "waited &lt;n&gt; s" in text_of(admin.get(f"{url}{group.pk}/change/"))

    assert "its runs go on." in text_of(admin.post(url, {"action": "retry", **chosen}, follow=True))
    failed.refresh_from_db()
    assert (failed.status, failed.attempt) == ("running", 2)

    assert "resolved." in text_of(admin.post(url, {"action": "resolve", **chosen}, follow=True))
    group.refresh_from_db()
    assert group.status == "resolved"


def test_it_rejects_staff_without_the_right(run):
    client = Client()
    assert client.get(URL).status_code == 302
    viewer = factories.make_user(is_staff=True)
    client.force_login(viewer)
    assert client.get(URL).status_code == 403

    viewer.user_permissions.add(Permission.objects.get(codename="view_run"))
    assert str(run.pk) in text_of(client.get(detail(run)))
    client.post(URL, {"action": "cancel", "_selected_action": [str(run.pk)]}, follow=True)
    run.refresh_from_db()
    assert run.cancel_requested_at is None


def test_a_run_of_very_many_steps_is_shown_by_the_page(admin, project, django_assert_max_num_queries):
    nodes = [{"id": f"n{number}", "type": "transform", "config": {"values": {}}} for number in range(10_000)]
    workflow = factories.make_workflow(project=project, definition={"nodes": nodes, "edges": []})
    run = factories.make_run(workflow=workflow, steps_total=10_000, event_seq=30_000)
    admin.get(detail(run))

    with django_assert_max_num_queries(12):
        page = text_of(admin.get(detail(run), {"steps": "100"}))

    assert "9901 to 10000 of 10000" in page
    assert "too many for a picture" in page
    assert ">n9900<" in page
    assert ">n9899<" not in page
    assert len(page) < 300_000
    assert "9901 to 10000" in text_of(admin.get(detail(run), {"steps": "999"}))
    assert "1 to 100 of" in text_of(admin.get(detail(run), {"steps": "x"}))


def test_a_page_of_runs_takes_few_queries(admin, chain, django_assert_max_num_queries):
    for _ in range(20):
        factories.make_run(workflow=chain)
    admin.get(URL)

    with django_assert_max_num_queries(6):
        text_of(admin.get(URL))
