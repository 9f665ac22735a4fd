"""Staff see and do what their Django permissions say, and no more."""

from collections.abc import Callable

import pytest
from django.contrib.auth.models import Permission
from django.test import Client

from flowforge.projects.admin import RIGHTS
from flowforge.projects.models import ApiKey, Project, User
from runs.models import Run
from tests import factories
from tests.admin.conftest import World
from workflows.models import Workflow

Staff = Callable[..., Client]
MODELS = (
    *("runs/run", "workflows/workflow", "projects/project", "projects/user", "projects/apikey", "workers/worker"),
    *("schedules/schedule", "schedules/backfill", "workflows/triggerdecision"),
    *("webhooks/webhook", "webhooks/call", "webhooks/subscription", "webhooks/delivery"),
    *("credentials/credential", "alerts/alert", "assets/asset", "triggers/eventtrigger", "templates_app/steptemplate"),
)
CONFIRMED = {"confirmed": "yes", "_form_submitted": "True"}


def page_of(world: World, name: str) -> str:
    return world.pages()[f"{name} page"]


@pytest.mark.parametrize("name", MODELS)
def test_it_works(staff: Staff, world: World, name: str) -> None:
    """Who may view one kind of row sees that in the sidebar, its list and its page, and nothing else."""
    client = staff(f"view_{name.split('/')[1]}")
    index = client.get("/admin/").content.decode()
    for other in MODELS:
        expected = 200 if other == name else 403
        assert client.get(f"/admin/{other}/").status_code == expected
        assert client.get(page_of(world, other)).status_code == expected
        assert (f'href="/admin/{other}/"' in index) == (other == name)


@pytest.mark.parametrize("name", MODELS)
def test_it_rejects_whoever_is_not_staff(world: World, name: str) -> None:
    client = Client()
    for path in (f"/admin/{name}/", page_of(world, name)):
        assert client.get(path).status_code == 302
    client.force_login(world.person)
    for path in (f"/admin/{name}/", page_of(world, name)):
        assert client.get(path).status_code == 302


@pytest.mark.parametrize(
    ("name", "command"),
    [
        *(("runs/run", command) for command in ("pause", "resume", "cancel")),
        *(("workflows/workflow", command) for command in ("pause", "activate", "archive")),
        *(("projects/project", "archive"), ("projects/user", "log_out_everywhere"), ("projects/apikey", "revoke")),
    ],
)
def test_it_rejects_commands_of_those_who_only_look(staff: Staff, world: World, name: str, command: str) -> None:
    model = name.split("/")[1]
    client = staff(f"view_{model}")
    before = state_of(world)
    row = page_of(world, name).split("/")[-3]

    chosen = {"action": command, "_selected_action": [row], **CONFIRMED}
    client.post(f"/admin/{name}/", chosen)
    assert client.post(f"/admin/{name}/{row}/{command}/", CONFIRMED).status_code == 403
    assert client.get(f"/admin/{name}/{row}/{command}/").status_code == 403

    assert f"/{row}/{command}/" not in client.get(page_of(world, name)).content.decode()
    assert state_of(world) == before


def test_it_rejects_commands_of_those_who_may_not_look(staff: Staff, world: World) -> None:
    client = staff("view_workflow", "change_workflow")
    before = state_of(world)
    assert client.post(f"/admin/runs/run/{world.run.pk}/cancel/", CONFIRMED).status_code == 403
    assert state_of(world) == before


def state_of(world: World) -> list[object]:
    run = Run.objects.values_list("cancel_requested_at", "pause_requested_at").get(pk=world.run.pk)
    key = ApiKey.objects.values_list("revoked_at").get(pk=world.key.pk)
    statuses = [row.objects.values_list("status", flat=True).get() for row in (Workflow, Project)]
    return [run, key, statuses, User.objects.values_list("token_version").get(pk=world.person.pk)]


def test_links_lead_only_where_one_may_go(staff: Staff, world: World) -> None:
    page = staff("view_run").get(page_of(world, "runs/run")).content.decode()
    assert f"/admin/workflows/workflow/{world.workflow.pk}/" not in page
    assert f"/admin/projects/project/{world.project.pk}/" not in page
    page = staff("view_workflow").get("/admin/workflows/workflow/").content.decode()
    assert "/admin/runs/run/" not in page

    page = staff("view_run", "view_workflow", "view_project").get(page_of(world, "runs/run")).content.decode()
    assert f"/admin/workflows/workflow/{world.workflow.pk}/change/?version=1" in page
    assert f"/admin/projects/project/{world.project.pk}/" in page


# --- people -------------------------------------------------------------------------------------------------------


def change(client: Client, user: User, **fields: str) -> int:
    form = {"username": user.username, "is_active": "on", **fields}
    return client.post(f"/admin/projects/user/{user.pk}/change/", form).status_code


def test_a_superuser_gives_rights(superuser: Client, world: World) -> None:
    right = Permission.objects.get(codename="view_run")
    assert change(superuser, world.person, is_staff="on", user_permissions=str(right.pk)) == 302
    person = User.objects.get(pk=world.person.pk)
    assert person.is_staff
    assert person.has_perm("runs.view_run")


def test_it_rejects_rights_given_by_others(staff: Staff, world: World) -> None:
    right = Permission.objects.get(codename="view_run")
    client = staff("view_user", "change_user")
    wish = {"is_staff": "on", "is_superuser": "on", "user_permissions": str(right.pk), "email": "new@example.org"}
    assert change(client, world.person, **wish) == 302
    person = User.objects.get(pk=world.person.pk)
    assert person.email == "new@example.org"
    assert not person.is_staff
    assert not person.is_superuser
    assert not person.has_perm("runs.view_run")


@pytest.mark.parametrize("rank", [{"is_superuser": True, "is_staff": True}, {"is_staff": True}])
def test_it_rejects_changing_colleagues_to_become_them(staff: Staff, rank: dict[str, bool]) -> None:
    client = staff("view_user", "change_user")
    colleague = factories.make_user(**rank)
    password = {"password1": "a new long password", "password2": "a new long password", "usable_password": "true"}
    assert change(client, colleague, email="mine@example.org") == 403
    assert client.post(f"/admin/projects/user/{colleague.pk}/password/", password).status_code == 403
    assert User.objects.get(pk=colleague.pk).check_password(factories.PASSWORD)


def test_the_rights_on_offer_exist(db: None) -> None:
    assert set(Permission.objects.filter(codename__in=RIGHTS).values_list("codename", flat=True)) == set(RIGHTS)


# --- what the engine and Celery own -------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["runs/run", "workflows/workflow", "projects/apikey", "projects/tokenfamily"])
def test_it_rejects_editing_by_anybody(superuser: Client, world: World, name: str) -> None:
    assert superuser.get(f"/admin/{name}/add/").status_code == 403
    page = page_of(world, name)
    assert superuser.post(page, {"status": "completed"}).status_code == 403
    assert superuser.post(page.replace("/change/", "/delete/"), {"post": "yes"}).status_code == 403


def test_rows_of_beat_are_to_look_at(superuser: Client) -> None:
    """Whoever could write one could send any Celery message."""
    assert superuser.get("/admin/django_celery_beat/periodictask/").status_code == 200
    assert superuser.get("/admin/django_celery_beat/periodictask/add/").status_code == 403
    for kind in ("interval", "crontab", "clocked", "solar"):
        assert superuser.get(f"/admin/django_celery_beat/{kind}schedule/").status_code == 404


def test_only_the_name_of_a_project_is_written(superuser: Client, world: World) -> None:
    """The page was read a while ago: what has changed since stays."""
    seats = {"memberships-TOTAL_FORMS": 0, "memberships-INITIAL_FORMS": 0}
    page = page_of(world, "projects/project")
    form = {"name": "Renamed", "settings": "{}", "status": "archived", **seats}
    assert superuser.post(page, form).status_code == 302
    project = Project.objects.get()
    assert (project.name, project.status) == ("Renamed", "active")
    assert project.settings == world.project.settings

    Project.objects.update(status="archived")
    assert superuser.post(page, {**form, "name": "Again"}).status_code == 403
