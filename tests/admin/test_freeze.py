"""The red button in the admin: freeze and thaw, asked, told and shown."""

import pytest
from django.test import Client

from flowforge.operating.models import Hold
from tests.admin.conftest import World

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize(("path", "scope"), [("projects/project", "project"), ("workflows/workflow", "workflow")])
def test_it_works(superuser: Client, world: World, path: str, scope: str) -> None:
    row = world.workflow if scope == "workflow" else world.workflow.project
    page = f"/admin/{path}/{row.pk}/change/"
    assert f"Freeze {scope}" in superuser.get(page).content.decode()
    chosen = {"_selected_action": [str(row.pk)], "confirmed": "yes"}
    superuser.post(f"/admin/{path}/", {"action": "freeze", **chosen}, follow=True)
    assert (Hold.objects.get().scope_id, Hold.objects.get().status) == (row.pk, "frozen")
    shown = superuser.get(page).content.decode()
    assert "frozen, by" in shown
    assert f"Thaw {scope}" in shown
    superuser.post(f"/admin/{path}/", {"action": "thaw", **chosen}, follow=True)
    assert Hold.objects.get().status == "thawing"
