"""/v1/projects."""

from datetime import timedelta

import pytest

from flowforge.core import clock
from flowforge.projects.constants import SCOPES
from flowforge.projects.models import Membership, Project
from flowforge.projects.services import keys
from tests import factories
from tests.support.api import ApiClient

PATH = "/v1/projects"
FIELDS = {"id", "name", "status", "team", "settings", "freeze", "created_at", "updated_at"}


@pytest.fixture
def owner(person, log_in, bearing) -> ApiClient:
    return bearing(log_in(person)["access"])


@pytest.fixture
def path(project) -> str:
    return f"{PATH}/{project.pk}"


def test_it_works(owner, person):
    settings = {"max_concurrent_runs": 3}
    answer = owner.post(PATH, {"name": "Second", "settings": settings}).expect(201)
    made = answer.data
    assert set(made) == FIELDS
    assert (made["name"], made["status"], made["settings"]) == ("Second", "active", settings)
    assert made["team"] == [{"user": person.username, "role": "owner"}]
    assert answer.headers["Location"] == f"{PATH}/{made['id']}"
    read = owner.get(answer.headers["Location"]).expect(200)
    assert read.data == made
    assert read.headers["ETag"] == answer.headers["ETag"]
    assert owner.get(PATH).expect(200).data[0]["id"] == made["id"]


@pytest.mark.parametrize(
    ("body", "pointers"),
    [
        ({}, {"/name": "required"}),
        ({"name": " "}, {"/name": "blank"}),
        ({"name": "P", "settings": []}, {"/settings": "not_a_dict"}),
        ({"name": "P", "settings": {"retention": 3}}, {"/settings/retention": "unknown_field"}),
        ({"name": "P", "status": "archived", "id": "1"}, {"/status": "unknown_field", "/id": "unknown_field"}),
        ({"name": "P", "team": [{"user": "nobody", "role": "editor"}]}, {"/team/0/user": "not_found"}),
        ({"name": "P", "team": [{"user": "nobody", "role": "king"}]}, {"/team/0/role": "invalid_choice"}),
        (
            {"name": "P", "team": [{"role": "editor", "x": 1}]},
            {"/team/0/user": "required", "/team/0/x": "unknown_field"},
        ),
    ],
)
def test_it_rejects_an_invalid_body(owner, body, pointers):
    assert owner.post(PATH, body).expect(422).pointers == pointers
    assert Project.objects.count() == 1


def test_a_person_without_any_project_may_make_one(db, log_in, bearing):
    loner = bearing(log_in(factories.make_user())["access"])
    made = loner.post(PATH, {"name": "First", "team": []}).expect(201)
    loner.get(made.headers["Location"]).expect(200)


def test_a_project_is_made_with_its_team(owner, person):
    colleague = factories.make_user()
    team = [{"user": str(colleague.pk), "role": "editor"}]
    made = owner.post(PATH, {"name": "P", "team": team}).expect(201).data
    assert made["team"] == [
        {"user": person.username, "role": "owner"},
        {"user": colleague.username, "role": "editor"},
    ]


def test_a_key_makes_projects_only_as_admin_and_for_its_person(project, person):
    _, admin_key = keys.insert_key(project=project, name="a", scopes=["admin"], created_by_id=person.pk)
    robot = ApiClient({"X-API-KEY": admin_key})
    made = robot.post(PATH, {"name": "By a robot"}).expect(201)
    assert made.data["team"] == [{"user": person.username, "role": "owner"}]
    robot.get(made.headers["Location"]).expect(404)  # the key stays bound to its own project


def test_it_rejects_projects_made_by_lesser_or_nobodys_keys(client_with, project, person):
    client_with(*(scope for scope in SCOPES if scope != "admin")).post(PATH, {"name": "P"}).expect(403)
    client_with("admin").post(PATH, {"name": "P"}).expect(403)  # nobody made this key, so nobody would own it
    assert Project.objects.count() == 1


# --- who may ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("role", ["viewer", "operator", "editor"])
def test_it_rejects_changes_by_lesser_roles(client_as, path, role):
    client = client_as(role)
    client.get(path).expect(200)
    client.patch(path, {"name": "Mine"}).expect(403)
    client.delete(path).expect(403)


def test_it_rejects_other_scopes(client_with, path):
    client = client_with(*(scope for scope in SCOPES if scope not in ("projects:read", "projects:write", "admin")))
    for method in ("GET", "PATCH", "DELETE"):
        client.request(method, path, {} if method == "PATCH" else None).expect(403)
    client.get(PATH).expect(403)
    client_with("projects:read").patch(path, {"name": "Mine"}).expect(403)
    client_with("projects:write").get(path).expect(403)


@pytest.mark.parametrize("which", ["foreign", "unknown"])
def test_it_rejects_what_the_caller_cannot_see(owner, other_project, which):
    path = f"{PATH}/{other_project.pk if which == 'foreign' else factories.unknown_id()}"
    for method in ("GET", "PATCH", "DELETE"):
        answer = owner.request(method, path, {"name": "Mine"} if method == "PATCH" else None).expect(404)
        assert answer.code == "not_found"
    other_project.refresh_from_db()
    assert (other_project.status, other_project.name) != ("archived", "Mine")


def test_it_rejects_no_credential_and_an_expired_one(anonymous, project, path):
    _, key = factories.make_api_key(project=project, expires_at=clock.now() - timedelta(seconds=1))
    for client in (anonymous, ApiClient({"X-API-KEY": key})):
        for method, place in (("GET", PATH), ("POST", PATH), ("GET", path), ("PATCH", path), ("DELETE", path)):
            client.request(method, place, {} if method in ("POST", "PATCH") else None).expect(401)


def test_a_list_holds_the_callers_projects_alone(client_with, project, other_project, stranger):
    assert [row["id"] for row in client_with("projects:read").get(PATH).expect(200).data] == [str(project.pk)]
    assert [row["id"] for row in stranger.get(PATH).expect(200).data] == [str(other_project.pk)]


def test_the_list_is_filtered_paged_and_costs_three_queries(owner, person, own_queries):
    for number in range(5):
        made = factories.make_project(name=f"Plan {number}", status="archived" if number == 4 else "active")
        Membership.objects.create(project=made, user=person, role="viewer")
    assert len(owner.get(PATH, name="plan").expect(200).data) == 5
    assert [row["name"] for row in owner.get(PATH, status="archived").expect(200).data] == ["Plan 4"]
    owner.get(PATH, status="closed").expect(400)
    assert len(own_queries(lambda: owner.get(PATH, limit=4).expect(200))) == 3
    first = owner.get(PATH, limit=4).expect(200)
    rest = owner.get(PATH, limit=4, cursor=first.meta["cursor"]).expect(200)
    assert (len(first.data), len(rest.data)) == (4, 2)


# --- change -------------------------------------------------------------------------------------------------------


def test_a_patch_changes_what_it_names(owner, path, project):
    before = owner.get(path).data
    owner.patch(path, {"settings": {"retention_days": 30, "variables": {"region": "eu"}}}).expect(200)
    after = owner.patch(path, {"name": "New", "settings": {"retention_days": None}}).expect(200).data
    assert (after["name"], after["settings"]) == ("New", {"variables": {"region": "eu"}})
    assert after["team"] == before["team"]
    assert after["updated_at"] > before["updated_at"]
    assert after == owner.get(path).data


def test_it_rejects_a_patch_with_a_fault_as_a_whole(owner, path, project):
    answer = owner.patch(path, {"name": "New", "settings": {"max_concurrent_runs": 0, "x/y": 1}}).expect(422)
    assert answer.pointers == {"/settings/max_concurrent_runs": "out_of_range", "/settings/x~1y": "unknown_field"}
    project.refresh_from_db()
    assert project.name != "New"


def test_it_rejects_a_stale_if_match(owner, path):
    tag = owner.get(path).headers["ETag"]
    owner.get(path, headers={"If-None-Match": tag}).expect(304)
    owner.patch(path, {"name": "One"}, headers={"If-Match": tag}).expect(200)
    owner.patch(path, {"name": "Two"}, headers={"If-Match": tag}).expect(412)
    owner.delete(path, headers={"If-Match": tag}).expect(412)


def test_rate_limits_hold_for_the_projects_keys_at_once(owner, path, client_with):
    robot = client_with("projects:read")
    robot.get(path).expect(200)
    owner.patch(path, {"settings": {"rate_limits": {"general": "1/m"}}}).expect(200)
    assert [robot.get(path).status for _ in range(2)][-1] == 429


def test_rate_limits_hold_for_the_projects_people_too(owner, path, client_as):
    viewer = client_as("viewer")
    owner.patch(path, {"settings": {"rate_limits": {"general": "3/m"}}}).expect(200)
    answers = [viewer.get(path) for _ in range(4)]
    assert answers[-1].status == 429
    assert {answer.headers["X-RateLimit-Limit"] for answer in answers} == {"3"}


# --- archive ------------------------------------------------------------------------------------------------------


def test_deleting_archives_and_the_project_stays_readable(owner, path):
    owner.delete(path).expect(204)
    assert owner.get(path).expect(200).data["status"] == "archived"
    owner.delete(path).expect(204)


def test_it_rejects_changes_to_an_archived_project_but_for_bringing_it_back(owner, path):
    owner.delete(path).expect(204)
    assert owner.patch(path, {"name": "New"}).expect(409).code == "conflict"
    assert owner.patch(path, {"status": "archived"}).expect(200).data["status"] == "archived"
    assert owner.patch(path, {"status": "active", "name": "New"}).expect(200).data["name"] == "New"


def test_archiving_ends_the_keys_of_the_project_at_once(owner, path, client_with):
    robot = client_with("admin")
    robot.get(path).expect(200)
    owner.delete(path).expect(204)
    robot.get(path).expect(401)


def test_the_same_creation_sent_twice_gives_one_project(owner):
    first = owner.post(PATH, {"name": "Once"}, headers={"Idempotency-Key": "k"}).expect(201)
    again = owner.post(PATH, {"name": "Once"}, headers={"Idempotency-Key": "k"}).expect(201)
    assert again.data["id"] == first.data["id"]
    assert again.headers["Idempotent-Replayed"] == "true"
