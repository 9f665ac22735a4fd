"""While the engine is paused, starting and steering runs waits and reading works; `manage.py engine`."""

import io

import pytest
from django.core.management import CommandError, call_command

from flowforge.operating.models import Hold
from flowforge.operating.services import pause_engine, resume_engine
from tests import factories
from tests.contract import matrix

pytestmark = pytest.mark.django_db
STEERING = sorted(
    name for name, operation in matrix.CLOSED.items() if operation.scope == "runs:write" and not name.startswith("GET")
)
RED_BUTTON = {name for name in STEERING if name.endswith((":freeze", ":thaw"))}


def engine(*arguments: str) -> str:
    out = io.StringIO()
    call_command("engine", *arguments, stdout=out)
    return out.getvalue()


@pytest.mark.parametrize("name", sorted(set(STEERING) - RED_BUTTON))
def test_it_works(client, project, name):
    place = matrix.make_place(project)
    pause_engine(reason="an upgrade", by="ann")
    answer = matrix.call(client, place, name)
    assert (answer.status, answer.code, answer.headers["Retry-After"]) == (503, "unavailable", "30")


def test_reading_and_the_red_button_work_meanwhile(client, project):
    place = matrix.make_place(project)
    pause_engine(reason="", by="ann")
    client.get(f"/v1/runs/{place.ids['run']}").expect(200)
    client.get("/v1/runs").expect(200)
    client.post(f"/v1/projects/{project.pk}:freeze", {"reason": "so"}).expect(200)


def test_afterwards_it_goes_on(client, project, bell):
    workflow = factories.make_workflow(project=project)
    pause_engine(reason="", by="ann")
    client.post(f"/v1/workflows/{workflow.pk}:run", {}).expect(503)
    resume_engine()
    client.post(f"/v1/workflows/{workflow.pk}:run", {}).expect(202)


def test_asking_costs_no_query(client, project, query_counter):
    workflow = factories.make_workflow(project=project)
    client.post(f"/v1/workflows/{workflow.pk}:run", {}).expect(202)
    with query_counter() as queries:
        client.post(f"/v1/workflows/{workflow.pk}:run", {}).expect(202)
    assert not [query for query in queries if "operating_hold" in query["sql"]]


def test_the_command(project):
    assert "nothing is held" in engine("status")
    assert "everything: frozen" in engine("freeze", "--reason", "a fire")
    said = engine("thaw", "--rate", "10/m")
    assert "everything: thawing, at 10/m" in said
    assert "a fire" in said
    assert "engine: paused" in engine("pause")
    assert "engine: paused" not in engine("resume")
    assert "live runs: none; held back: 0" in engine("status")


def test_the_command_rejects_what_makes_no_sense(project):
    for arguments in (["thaw"], ["resume"], ["thaw", "--rate", "fast"], ["melt"]):
        with pytest.raises(CommandError):
            engine(*arguments)
    assert Hold.objects.count() == 0
