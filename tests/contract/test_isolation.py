"""No credential sees or touches another project's rows: not by path, body, filter or cursor."""

import re
import uuid

import pytest

from tests import factories
from tests.contract.matrix import ID_NAMES, NAMES_PROJECT, WITH_IDS, Place, call, make_place, snapshot


@pytest.mark.parametrize("name", sorted(name for name in WITH_IDS if name.startswith("GET")))
def test_it_works(place, client, name):
    call(client, place, name).expect(200)


@pytest.mark.parametrize("name", WITH_IDS)
def test_it_rejects_ids_of_another_project_as_if_they_were_unknown(place, stranger, name):
    before = snapshot(place.ids["project"])
    foreign = call(stranger, place, name).expect(404)
    assert snapshot(place.ids["project"]) == before
    unknown = call(stranger, Place(ids={kind: factories.unknown_id() for kind in place.ids}), name).expect(404)
    assert {**foreign.json, "trace_id": "", "instance": ""} == {**unknown.json, "trace_id": "", "instance": ""}


@pytest.mark.parametrize("name", sorted(name for name in WITH_IDS if "{step}" in name))
def test_it_rejects_a_mixture_of_own_and_foreign_ids(place, elsewhere, stranger, name):
    mixed = Place(ids={**elsewhere.ids, "step": place.ids["step"]})
    answer = call(stranger, mixed, name)
    assert answer.status == 404


@pytest.mark.parametrize("name", NAMES_PROJECT)
def test_it_rejects_another_project_in_a_body(place, stranger, name):
    before = snapshot(place.ids["project"])
    for project_id in (place.ids["project"], factories.unknown_id()):
        answer = call(stranger, place, name, {**(place.body(name) or {}), "project_id": project_id}).expect(422)
        assert "/project_id" in answer.pointers
    assert snapshot(place.ids["project"]) == before


def test_it_rejects_a_copy_into_another_project(place, elsewhere, stranger):
    before = snapshot(place.ids["project"])
    name = "POST /v1/workflows/{workflow}:duplicate"
    assert call(stranger, elsewhere, name, {"project_id": place.ids["project"]}).expect(422).pointers == {
        "/project_id": "not_found"
    }
    assert snapshot(place.ids["project"]) == before


@pytest.mark.parametrize(
    "path",
    [
        *("/v1/workflows", "/v1/runs", "/v1/failures", "/v1/approvals", "/v1/api-keys", "/v1/projects"),
        *("/v1/step-types", "/v1/webhooks", "/v1/subscriptions", "/v1/schedules", "/v1/credentials", "/v1/alerts"),
        *("/v1/event-triggers", "/v1/assets", "/v1/templates"),
    ],
)
def test_listings_hold_own_rows_alone(place, elsewhere, stranger, path):
    ours = set(place.ids.values())
    for page in (stranger.get(path), stranger.get(path, page=1), stranger.get(path, limit=100)):
        assert not ours & set(re.findall(r"[0-9a-f]{8}-[0-9a-f-]{27}", page.expect(200).body.decode()))
    if path != "/v1/projects":
        asked = stranger.get(path, project_id=place.ids["project"])
        assert asked.status == 404 or asked.data == []


@pytest.mark.parametrize(
    "path",
    [
        *("/v1/workflows", "/v1/runs", "/v1/failures", "/v1/api-keys", "/v1/schedules"),
        *("/v1/webhooks", "/v1/subscriptions", "/v1/event-triggers", "/v1/assets", "/v1/templates"),
    ],
)
def test_it_rejects_a_cursor_of_another_project(project, elsewhere, client, stranger, path):
    for _ in range(3):
        make_place(project)
    cursor = client.get(path, limit=1).expect(200).meta["cursor"]
    client.get(path, limit=1, cursor=cursor).expect(200)
    assert stranger.get(path, limit=1, cursor=cursor).expect(400).code == "invalid_cursor"


def test_an_id_that_is_none_is_unknown(client):
    for name in WITH_IDS:
        for nonsense in ("x", "1", str(uuid.UUID(int=0)), "null", "%00", "' OR 1=1"):
            answer = call(client, Place(ids=dict.fromkeys(ID_NAMES, nonsense)), name)
            assert answer.status == (400 if nonsense == "%00" else 404), (name, nonsense, answer)
