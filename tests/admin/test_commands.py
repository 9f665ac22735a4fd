"""Commands go through the services, ask where they destroy, and say what they did."""

import pytest
from django.contrib.admin.models import LogEntry
from django.test import Client

from flowforge.projects.models import ApiKey
from flowforge.staff import commands
from runs.models import Run
from tests import factories
from tests.admin.conftest import EVIL, World
from tests.support.bells import BellRecorder
from workflows.models import Workflow

RUNS = "/admin/runs/run/"
pytestmark = pytest.mark.django_db


def texts(response: object) -> list[str]:
    return [str(message) for message in response.context["messages"]]  # type: ignore[attr-defined]  # the test client's


def command(client: Client, name: str, *rows: object, **fields: str) -> object:
    chosen = {"action": name, "_selected_action": [str(row.pk) for row in rows], **fields}  # type: ignore[attr-defined]
    return client.post(RUNS, chosen, follow=True)


def test_it_works(
    superuser: Client, world: World, bell: BellRecorder, django_capture_on_commit_callbacks: object
) -> None:
    """Asked, confirmed, done, told, written down."""
    asked = command(superuser, "cancel", world.run)
    page = asked.content.decode()  # type: ignore[attr-defined]
    assert "the run ends as cancelled" in page
    assert f'value="{world.run.pk}"' in page
    assert EVIL not in page
    assert Run.objects.get().cancel_requested_at is None

    with django_capture_on_commit_callbacks(execute=True):  # type: ignore[operator]
        done = command(superuser, "cancel", world.run, confirmed="yes")

    assert texts(done) == [f"{EVIL}, run {world.run.pk} (running): asked to end."]
    assert Run.objects.get().cancel_requested_at is not None
    assert bell.driven == [world.run.pk]
    assert LogEntry.objects.get().get_change_message() == "Cancel run: asked to end."
    assert "asked to end" in superuser.get(f"{RUNS}{world.run.pk}/history/").content.decode()


def test_it_rejects_what_the_service_rejects(superuser: Client, world: World) -> None:
    ended = factories.make_run(workflow=world.workflow, status="completed")
    told = texts(command(superuser, "pause", world.run, ended))
    assert len(told) == 2
    assert told[0].endswith(": asked to pause.")
    assert told[1].endswith("The run has ended already: it is completed.")
    assert LogEntry.objects.get().object_id == str(world.run.pk)


def test_it_rejects_too_many_at_once(superuser: Client, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(commands, "MAX_CHOSEN", 2)
    for _ in range(2):
        factories.make_run(workflow=world.workflow)
    told = texts(command(superuser, "pause", *Run.objects.all()))
    assert told == ["Choose at most 2 at once."]
    assert not Run.objects.exclude(pause_requested_at=None).exists()
    across = command(superuser, "pause", world.run, select_across="1")
    assert texts(across) == ["Choose at most 2 at once."]


def test_many_refusals_are_counted(superuser: Client, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(commands, "MAX_REFUSALS", 1)
    ended = [factories.make_run(workflow=world.workflow, status="completed") for _ in range(3)]
    told = texts(command(superuser, "pause", *ended))
    assert len(told) == 2
    assert told[1] == "2 more were refused."


def test_a_page_offers_what_makes_sense(superuser: Client, world: World) -> None:
    page = f"{RUNS}{world.run.pk}/change/"

    def offered() -> list[str]:
        html = superuser.get(page).content.decode()
        return [name for name in ("pause", "resume", "cancel") if f"{RUNS}{world.run.pk}/{name}/" in html]

    assert offered() == ["pause", "cancel"]
    give(superuser, f"{RUNS}{world.run.pk}/pause/", page)
    assert offered() == ["resume", "cancel"]
    give(superuser, f"{RUNS}{world.run.pk}/cancel/", page)
    assert offered() == ["resume"]
    Run.objects.update(status="cancelled", finished_at=world.run.created_at)
    assert offered() == []


def give(client: Client, path: str, page: str) -> None:
    """Open the dialog, which changes nothing, and send its form."""
    before = list(Run.objects.values("cancel_requested_at", "pause_requested_at"))
    dialog = client.get(path)
    assert dialog.status_code == 200
    assert "Yes, " in dialog.content.decode()
    assert list(Run.objects.values("cancel_requested_at", "pause_requested_at")) == before
    sent = client.post(path, {"_form_submitted": "True"})
    assert sent.headers["HX-Redirect"] == page


def test_it_rejects_rows_that_are_not_there(superuser: Client, world: World) -> None:
    for missing in (factories.unknown_id(), "nonsense"):
        assert superuser.post(f"{RUNS}{missing}/cancel/", {"_form_submitted": "True"}).status_code == 404


def test_workflows_are_archived_unless_they_run(superuser: Client, world: World) -> None:
    path = f"/admin/workflows/workflow/{world.workflow.pk}/archive/"
    superuser.post(path, {"_form_submitted": "True"})
    assert Workflow.objects.get().status == "active"
    Run.objects.update(status="cancelled", finished_at=world.run.created_at)
    superuser.post(path, {"_form_submitted": "True"})
    assert Workflow.objects.get().status == "archived"


def test_keys_are_listed_by_state(superuser: Client, world: World) -> None:
    factories.make_api_key(project=world.project, name="old", expires_at=world.run.created_at)
    factories.make_api_key(project=world.project, name="gone", revoked_at=world.run.created_at)
    ApiKey.objects.filter(pk=world.key.pk).update(name="good")

    def listed(state: str) -> set[str]:
        cl = superuser.get("/admin/projects/apikey/", {"state": state}).context["cl"]
        return {key.name for key in cl.result_list}

    assert listed("active") == {"good"}
    assert listed("expired") == {"old"}
    assert listed("revoked") == {"gone"}
    assert listed("") == {"good", "old", "gone"}
