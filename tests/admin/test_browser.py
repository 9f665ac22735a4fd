"""The admin as staff see it, in a real Chromium. Console errors, and requests that fail or leave, fail the test."""

from collections.abc import Callable

import pytest
from django.test import Client

from flowforge.projects.models import ApiKey
from runs.models import Run
from tests import factories
from tests.admin import devtools
from tests.admin.conftest import EVIL, World
from tests.admin.devtools import Page
from workflows.models import Workflow

Visit = Callable[..., Page]
LOOKS = ({}, {"dark": True}, {"width": 420, "height": 900})

pytestmark = pytest.mark.django_db(transaction=True)

if devtools.find() is None:
    pytest.skip("!!! NO CHROMIUM ON THIS MACHINE: nobody looked at the admin !!!", allow_module_level=True)


def test_it_works(visit: Visit, world: World) -> None:
    """Somebody logs in, sees what is going on and goes to a run."""
    boss = factories.make_user(is_staff=True, is_superuser=True)
    page = visit()
    page.goto("/admin/login/")
    assert "FlowForge" in page.text()
    page.type("input[name=username]", boss.username)
    page.type("input[name=password]", factories.PASSWORD)
    page.click("button[type=submit]", leaves=True)

    assert EVIL in page.text("#newest-runs")
    page.click("#newest-runs a", leaves=True)

    assert str(world.run.pk) in page.run("location.pathname")
    assert "1 of 3 completed, 1 retry" in page.text("#run-facts")


def test_it_rejects_a_wrong_password(visit: Visit, world: World) -> None:
    page = visit()
    page.goto("/admin/login/")
    page.type("input[name=username]", world.person.username)
    page.type("input[name=password]", "a guess")
    page.click("button[type=submit]", leaves=True)
    assert "/login/" in page.run("location.pathname")
    assert page.count("input[name=password]") == 1


@pytest.mark.parametrize("look", LOOKS, ids=["light", "dark", "narrow"])
def test_every_page_is_drawn(visit: Visit, superuser: Client, world: World, look: dict[str, int]) -> None:
    """Nothing that a client wrote runs, and no page is wider than the screen."""
    page = visit(superuser, **look)
    for name, path in world.pages().items():
        page.goto(path)
        assert "FlowForge" in page.run("document.title"), name
        assert page.run("document.documentElement.scrollWidth <= innerWidth"), f"{name} is too wide"
        assert page.count("img[src='x']") == 0, name


def test_a_run_is_told_from_top_to_bottom(visit: Visit, superuser: Client, world: World) -> None:
    page = visit(superuser)
    page.goto(f"/admin/runs/run/{world.run.pk}/change/")

    assert page.count("#run-picture svg.ffg .s-completed") >= 1
    assert page.count("#run-timeline .ff-track") == 2
    assert page.count("#run-timeline .ff-bar.s-retrying") == 1
    edges = page.run(
        "[...document.querySelectorAll('#run-timeline .ff-bar')].map(bar => Math.round(bar.getBoundingClientRect().x))"
    )
    assert edges[0] == min(edges)
    assert edges[1] < edges[2]  # the first attempt, the second
    assert "RUNNING" in page.text("#run-steps")

    assert page.run("document.querySelector('#run-steps details').open") is False
    page.click("#run-steps details summary")
    page.until("document.querySelector('#run-steps details').open")
    assert EVIL in page.text("#run-steps details")


def test_the_picture_follows_the_page_into_the_dark(visit: Visit, superuser: Client, world: World) -> None:
    """unfold's own switch decides, whatever the device prefers."""
    fill = "getComputedStyle(document.querySelector('#run-picture .page')).fill"
    page = visit(superuser)
    page.goto(f"/admin/runs/run/{world.run.pk}/change/")
    assert page.run(fill) == "rgb(255, 255, 255)"
    page.run("document.documentElement.classList.add('dark')")
    assert page.run(fill) == "rgb(17, 24, 39)"


def test_a_run_is_cancelled_on_its_page(visit: Visit, superuser: Client, world: World) -> None:
    page = visit(superuser)
    page.goto(f"/admin/runs/run/{world.run.pk}/change/")
    page.click("a[hx-get$='/cancel/']")
    page.until("document.querySelector('#dialog') && document.querySelector('#dialog').offsetHeight > 0")
    assert "the run ends as cancelled" in page.text("#dialog")
    assert Run.objects.get(pk=world.run.pk).cancel_requested_at is None

    page.click("#dialog button[type=submit]", leaves=True)

    assert "asked to end" in page.text()
    assert Run.objects.get(pk=world.run.pk).cancel_requested_at is not None
    assert page.count("a[hx-get$='/cancel/']") == 0


def test_workflows_are_paused_from_their_list(visit: Visit, superuser: Client, world: World) -> None:
    page = visit(superuser)
    page.goto("/admin/workflows/workflow/")
    choose(page, "pause")
    assert ": paused." in page.text()
    assert Workflow.objects.get(pk=world.workflow.pk).status == "paused"


def test_a_key_is_revoked_from_the_list_once_confirmed(visit: Visit, superuser: Client, world: World) -> None:
    page = visit(superuser)
    page.goto("/admin/projects/apikey/")
    choose(page, "revoke")
    assert "for good" in page.text("#confirm")
    assert ApiKey.objects.get(pk=world.key.pk).revoked_at is None

    page.click("#confirm button[type=submit]", leaves=True)

    assert ": revoked." in page.text()
    assert "REVOKED" in page.text("#result_list")
    assert ApiKey.objects.get(pk=world.key.pk).revoked_at is not None


def test_runs_are_filtered(visit: Visit, superuser: Client, world: World) -> None:
    page = visit(superuser)
    page.goto("/admin/runs/run/")
    page.click("#changelist a[x-on\\:click^='filterOpen']")
    page.until("document.querySelector('#changelist-filter input[value=completed]').offsetHeight > 0")
    page.click("#changelist-filter input[value=completed]")
    page.click("#changelist-filter button[type=submit]", leaves=True)
    assert "status=completed" in page.run("location.search")
    assert page.count("#result_list tbody tr") == 0


def choose(page: Page, action: str) -> None:
    """Tick the first row and give the command."""
    page.click("#result_list tbody input.action-select")
    page.run(
        f"(() => {{ const field = document.querySelector('select[name=action]'); field.value = '{action}';"
        " field.dispatchEvent(new Event('change', {bubbles: true})); })()"
    )
    page.until("document.querySelector('#changelist-actions button[type=submit]').offsetHeight > 0")
    page.click("#changelist-actions button[type=submit]", leaves=True)
