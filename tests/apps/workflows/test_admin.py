"""Workflows in the admin."""

import pytest
from django.contrib.auth.models import Permission
from django.test import Client

from tests import factories
from tests.apps.workflows.conftest import chain
from workflows.models import Workflow

URL = "/admin/workflows/workflow/"


@pytest.fixture
def admin(db: None) -> Client:
    client = Client()
    client.force_login(factories.make_user(is_staff=True, is_superuser=True))
    return client


def test_it_works(admin: Client, workflow: Workflow) -> None:
    listing = admin.get(URL, {"q": "daily"}).content.decode()
    assert "Daily import" in listing
    assert "finance" in listing
    page = admin.get(f"{URL}{workflow.pk}/change/").content.decode()
    assert "<svg" in page
    assert "- source: a\n  target: b" in page
    assert workflow.versions.get().definition_hash in page
    assert "Daily import" not in admin.get(URL, {"q": "weekly"}).content.decode()


def test_it_rejects_writing(admin: Client, workflow: Workflow) -> None:
    assert admin.get(f"{URL}add/").status_code == 403
    assert admin.post(f"{URL}{workflow.pk}/delete/", {"post": "yes"}).status_code == 403
    form = {
        "name": "Changed",
        "versions-TOTAL_FORMS": 1,
        "versions-INITIAL_FORMS": 1,
        "versions-0-id": str(workflow.versions.get().pk),
        "versions-0-workflow": str(workflow.pk),
        "versions-0-version": 9,
    }
    assert admin.post(f"{URL}{workflow.pk}/change/", form).status_code == 403
    assert Workflow.objects.get().name == "Daily import"
    assert workflow.versions.get().version == 1


def test_what_clients_wrote_is_text(admin: Client, workflow: Workflow) -> None:
    node = {"id": "a", "name": "<script>alert(1)</script>", "type": "transform", "config": {}}
    factories.make_version(workflow=workflow, version=2, definition={"nodes": [node], "edges": []})
    Workflow.objects.update(version=2, name="<script>alert(2)</script>", tags=["<script>alert(3)</script>"])
    for path in (URL, f"{URL}{workflow.pk}/change/"):
        page = admin.get(path).content.decode()
        assert "<script>alert" not in page
        assert "&lt;script&gt;alert" in page


def test_actions_go_through_the_services(admin: Client, workflow: Workflow) -> None:
    second = factories.make_workflow(project=workflow.project, definition=chain("x"))
    chosen = {"_selected_action": [str(workflow.pk), str(second.pk)]}
    answer = admin.post(URL, {"action": "pause", **chosen}, follow=True)
    assert "2 workflows: paused." in answer.content.decode()
    assert set(Workflow.objects.values_list("status", flat=True)) == {"paused"}
    admin.post(URL, {"action": "activate", **chosen})
    assert set(Workflow.objects.values_list("status", flat=True)) == {"active"}


def test_it_rejects_staff_without_the_right(workflow: Workflow) -> None:
    client = Client()
    assert client.get(URL).status_code == 302
    user = factories.make_user(is_staff=True)
    client.force_login(user)
    assert client.get(URL).status_code == 403
    user.user_permissions.add(Permission.objects.get(codename="view_workflow"))
    assert client.get(URL).status_code == 200
    client.post(URL, {"action": "pause", "_selected_action": [str(workflow.pk)]})
    assert Workflow.objects.get().status == "active"
