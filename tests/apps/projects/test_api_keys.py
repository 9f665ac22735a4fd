"""/v1/api-keys."""

from datetime import timedelta

import pytest

from flowforge.core import clock
from flowforge.projects.constants import SCOPES
from flowforge.projects.models import ApiKey, IdempotencyRecord, Membership
from tests import factories
from tests.support.api import ApiClient

PATH = "/v1/api-keys"
FIELDS = {
    "id",
    "project_id",
    "name",
    "prefix",
    "scopes",
    "expires_at",
    "last_used_at",
    "created_at",
    "revoked_at",
}


@pytest.fixture
def owner(client_as) -> ApiClient:
    return client_as("owner")


@pytest.fixture
def made(owner) -> dict:
    return owner.post(PATH, {"name": "robot", "scopes": ["runs:write", "runs:read"]}).expect(201).data


def test_it_works(owner, project):
    answer = owner.post(PATH, {"name": "robot", "scopes": ["runs:write", "runs:read"]}).expect(201)
    made = answer.data
    assert set(made) == FIELDS | {"key"}
    assert made["key"].startswith(made["prefix"])
    assert (made["project_id"], made["scopes"]) == (str(project.pk), ["runs:read", "runs:write"])
    assert answer.headers["Location"] == f"{PATH}/{made['id']}"
    me = ApiClient({"X-API-KEY": made["key"]}).get("/v1/auth/me").expect(200).data
    assert me["projects"][0]["scopes"] == ["runs:read", "runs:write"]


def test_it_rejects_to_show_a_key_again(owner, made):
    shown = owner.get(f"{PATH}/{made['id']}").expect(200).data
    assert set(shown) == FIELDS
    assert [set(row) for row in owner.get(PATH).expect(200).data] == [FIELDS]
    stored = repr(ApiKey.objects.values().get(pk=made["id"]))
    assert made["key"] not in stored


def test_it_rejects_a_stronger_key_than_its_maker(client_with):
    manager = client_with("keys:write", "runs:read")
    manager.post(PATH, {"name": "equal", "scopes": ["runs:read", "keys:write"]}).expect(201)
    answer = manager.post(PATH, {"name": "stronger", "scopes": ["runs:read", "runs:write"]}).expect(403)
    assert "runs:write" in answer.json["detail"]
    manager.post(PATH, {"name": "strongest", "scopes": ["admin"]}).expect(403)
    assert ApiKey.objects.filter(name__startswith="strong").count() == 0


def test_it_rejects_a_key_that_would_outlive_its_maker(client, project, frozen_clock):
    soon, later = (clock.now() + timedelta(hours=hours) for hours in (1, 2))
    row, key = factories.make_api_key(project=project, scopes=["keys:write"], expires_at=soon)
    maker, wanted = ApiClient({"X-API-KEY": key}), {"name": "heir", "scopes": ["keys:write"]}
    assert maker.post(PATH, {**wanted, "expires_at": clock.isoformat(later)}).expect(403).code == "permission_missing"
    for unsaid in ({}, {"expires_at": None}):
        assert maker.post(PATH, {**wanted, **unsaid}).expect(201).data["expires_at"] == clock.isoformat(soon)
    longer, _ = factories.make_api_key(
        project=project, scopes=["keys:write"], expires_at=clock.now() + timedelta(days=9)
    )
    maker.post(f"{PATH}/{longer.pk}:rotate", {}).expect(403)
    maker.post(f"{PATH}/{row.pk}:rotate", {}).expect(201)  # its own: that is what rotating is for


def test_an_admin_key_may_give_everything(client_with):
    assert client_with("admin").post(PATH, {"name": "all", "scopes": list(SCOPES)}).expect(201)


@pytest.mark.parametrize(
    ("change", "pointers"),
    [
        ({"name": None}, {"/name": "null"}),
        ({"name": ""}, {"/name": "blank"}),
        ({"name": "x" * 201}, {"/name": "max_length"}),
        ({"scopes": []}, {"/scopes": "empty"}),
        ({"scopes": "admin"}, {"/scopes": "not_a_list"}),
        ({"scopes": ["runs:read", "runs:delete"]}, {"/scopes/1": "invalid_choice"}),
        ({"expires_at": "yesterday"}, {"/expires_at": "invalid"}),
        ({"expires_at": "2020-01-01T00:00:00Z"}, {"/expires_at": "in_the_past"}),
        ({"key": "ffk_mine", "key_hash": "0" * 64}, {"/key": "unknown_field", "/key_hash": "unknown_field"}),
        ({"revoked_at": None, "created_by": None}, {"/revoked_at": "unknown_field", "/created_by": "unknown_field"}),
    ],
)
def test_it_rejects_an_invalid_body(owner, change, pointers):
    assert owner.post(PATH, {"name": "k", "scopes": ["admin"], **change}).expect(422).pointers == pointers


@pytest.mark.parametrize("which", ["foreign", "unknown"])
def test_it_rejects_another_project_in_the_body(owner, other_project, which):
    project_id = str(other_project.pk) if which == "foreign" else factories.unknown_id()
    answer = owner.post(PATH, {"name": "k", "scopes": ["runs:read"], "project_id": project_id}).expect(422)
    assert answer.pointers == {"/project_id": "not_found"}
    assert not ApiKey.objects.filter(project=other_project).exists()


def test_it_rejects_to_guess_between_several_projects(person, project, other_project, log_in, bearing):
    Membership.objects.create(project=other_project, user=person, role="viewer")
    client = bearing(log_in(person)["access"])
    given = {"name": "k", "scopes": ["runs:read"]}
    assert client.post(PATH, given).expect(422).pointers == {"/project_id": "required"}
    client.post(PATH, {**given, "project_id": str(project.pk)}).expect(201)
    client.post(PATH, {**given, "project_id": str(other_project.pk)}).expect(403)


def test_it_rejects_an_archived_project(owner, project):
    project.status = "archived"
    project.save(update_fields=["status"])
    owner.post(PATH, {"name": "k", "scopes": ["runs:read"]}).expect(409)


# --- who may ------------------------------------------------------------------------------------------------------


def calls(key_id: str) -> list[tuple[str, str, object]]:
    return [
        ("GET", PATH, None),
        ("POST", PATH, {"name": "k", "scopes": ["runs:read"]}),
        ("GET", f"{PATH}/{key_id}", None),
        ("DELETE", f"{PATH}/{key_id}", None),
        ("POST", f"{PATH}/{key_id}:rotate", {}),
    ]


@pytest.mark.parametrize("role", ["viewer", "operator", "editor"])
def test_it_rejects_lesser_roles(client_as, made, role):
    client = client_as(role)
    for method, path, body in calls(made["id"]):
        client.request(method, path, body).expect(403)


def test_it_rejects_other_scopes(client_with, made):
    client = client_with(*(scope for scope in SCOPES if scope not in ("keys:write", "admin")))
    for method, path, body in calls(made["id"]):
        client.request(method, path, body).expect(403)


def test_it_rejects_no_credential_and_an_expired_one(anonymous, made, project):
    _, key = factories.make_api_key(project=project, expires_at=clock.now() - timedelta(seconds=1))
    for client in (anonymous, ApiClient({"X-API-KEY": key})):
        for method, path, body in calls(made["id"]):
            client.request(method, path, body).expect(401)


def test_it_rejects_a_stranger_as_if_there_were_no_key(stranger, owner, made):
    for method, path, body in calls(made["id"])[2:]:
        assert stranger.request(method, path, body).expect(404).code == "not_found"
    assert made["id"] not in {row["id"] for row in stranger.get(PATH).expect(200).data}
    assert owner.get(f"{PATH}/{made['id']}").expect(200).data["revoked_at"] is None


def test_it_rejects_a_foreign_project_as_filter(owner, project, other_project, made):
    owner.get(PATH, project_id=str(other_project.pk)).expect(404)
    owner.get(PATH, project_id="nonsense").expect(404)
    assert [row["id"] for row in owner.get(PATH, project_id=str(project.pk)).expect(200).data] == [made["id"]]
    owner.get(PATH, colour="red").expect(400)


def test_a_person_sees_keys_of_those_projects_alone_that_it_manages(person, other_project, log_in, bearing):
    Membership.objects.create(project=other_project, user=person, role="viewer")
    hidden, _ = factories.make_api_key(project=other_project)
    client = bearing(log_in(person)["access"])
    assert client.get(PATH).expect(200).data == []
    client.get(f"{PATH}/{hidden.pk}").expect(403)
    client.get(PATH, project_id=str(other_project.pk)).expect(403)


def test_the_list_is_paged_and_costs_one_query(client_with, project, own_queries):
    for _ in range(5):
        factories.make_api_key(project=project)
    client = client_with("keys:write")
    client.get("/v1/auth/me").expect(200)
    assert len(own_queries(lambda: client.get(PATH, limit=4).expect(200))) == 1
    first = client.get(PATH, limit=4).expect(200)
    rest = client.get(PATH, limit=4, cursor=first.meta["cursor"]).expect(200)
    assert (len(first.data), len(rest.data), rest.meta["has_more"]) == (4, 2, False)


# --- revoke and rotate --------------------------------------------------------------------------------------------


def test_deleting_revokes_at_once_and_twice_is_no_error(owner, made):
    robot = ApiClient({"X-API-KEY": made["key"]})
    robot.get("/v1/auth/me").expect(200)
    owner.delete(f"{PATH}/{made['id']}").expect(204)
    robot.get("/v1/auth/me").expect(401)
    revoked_at = owner.get(f"{PATH}/{made['id']}").expect(200).data["revoked_at"]
    owner.delete(f"{PATH}/{made['id']}").expect(204)
    assert owner.get(f"{PATH}/{made['id']}").data["revoked_at"] == revoked_at is not None


def test_it_rejects_a_stale_if_match(owner, made):
    owner.delete(f"{PATH}/{made['id']}", headers={"If-Match": '"stale"'}).expect(412)
    tag = owner.get(f"{PATH}/{made['id']}").headers["ETag"]
    owner.get(f"{PATH}/{made['id']}", headers={"If-None-Match": tag}).expect(304)
    owner.delete(f"{PATH}/{made['id']}", headers={"If-Match": tag}).expect(204)


def test_rotating_gives_a_successor_and_the_old_key_an_end(owner, made, frozen_clock):
    answer = owner.post(f"{PATH}/{made['id']}:rotate", {"overlap": "1h"}).expect(201)
    successor = answer.data
    assert successor["id"] != made["id"]
    assert successor["key"] != made["key"]
    assert (successor["name"], successor["scopes"]) == (made["name"], made["scopes"])
    assert successor["expires_at"] is None
    assert answer.headers["Location"] == f"{PATH}/{successor['id']}"
    old, new = ApiClient({"X-API-KEY": made["key"]}), ApiClient({"X-API-KEY": successor["key"]})
    frozen_clock.advance(3599)
    old.get("/v1/auth/me").expect(200)
    new.get("/v1/auth/me").expect(200)
    frozen_clock.advance(2)
    old.get("/v1/auth/me").expect(401)
    new.get("/v1/auth/me").expect(200)


def test_without_overlap_the_old_key_goes_on_for_a_day(owner, made, frozen_clock):
    owner.post(f"{PATH}/{made['id']}:rotate").expect(201)
    old = owner.get(f"{PATH}/{made['id']}").data
    assert old["expires_at"] == clock.isoformat(frozen_clock.now() + timedelta(hours=24))


def test_overlap_zero_ends_the_old_key_at_once(owner, made):
    owner.post(f"{PATH}/{made['id']}:rotate", {"overlap": "0s"}).expect(201)
    ApiClient({"X-API-KEY": made["key"]}).get("/v1/auth/me").expect(401)


def test_rotating_never_lengthens_a_life(owner, project, frozen_clock):
    soon = frozen_clock.now() + timedelta(minutes=5)
    row, _ = factories.make_api_key(project=project, expires_at=soon, created_at=soon - timedelta(minutes=30))
    successor = owner.post(f"{PATH}/{row.pk}:rotate", {"overlap": "7d"}).expect(201).data
    row.refresh_from_db()
    assert row.expires_at == soon
    assert successor["expires_at"] == clock.isoformat(frozen_clock.now() + timedelta(minutes=30))


@pytest.mark.parametrize(
    ("overlap", "code"),
    [("7d1s", "out_of_range"), ("soon", "invalid_duration"), (-1, "invalid_duration"), (None, "null")],
)
def test_it_rejects_an_invalid_overlap(owner, made, overlap, code):
    answer = owner.post(f"{PATH}/{made['id']}:rotate", {"overlap": overlap}).expect(422)
    assert answer.pointers == {"/overlap": code}


def test_it_rejects_to_rotate_a_key_that_has_ended(owner, made, project):
    expired, _ = factories.make_api_key(project=project, expires_at=clock.now() - timedelta(seconds=1))
    owner.post(f"{PATH}/{expired.pk}:rotate").expect(409)
    owner.delete(f"{PATH}/{made['id']}").expect(204)
    owner.post(f"{PATH}/{made['id']}:rotate").expect(409)


def test_it_rejects_to_rotate_a_stronger_key_into_ones_hands(client_with, project):
    strong, _ = factories.make_api_key(project=project, scopes=["admin"])
    client_with("keys:write").post(f"{PATH}/{strong.pk}:rotate").expect(403)
    strong.refresh_from_db()
    assert strong.expires_at is None


def test_a_key_that_a_key_makes_ends_with_the_person_behind_both(owner, person, project):
    first = owner.post(PATH, {"name": "parent", "scopes": ["keys:write"]}).expect(201).data
    child = ApiClient({"X-API-KEY": first["key"]}).post(PATH, {"name": "child", "scopes": ["keys:write"]})
    creators = ApiKey.objects.filter(pk__in=[first["id"], child.expect(201).data["id"]])
    assert len(set(creators.values_list("created_by", flat=True))) == 1
    assert creators.filter(created_by=None).count() == 0


def test_the_same_creation_sent_twice_gives_one_key_that_is_sealed_at_rest(owner, project):
    given, once = {"name": "k", "scopes": ["runs:read"]}, {"Idempotency-Key": "once"}
    first = owner.post(PATH, given, headers=once).expect(201)
    again = owner.post(PATH, given, headers=once).expect(201)
    assert again.data == first.data
    assert again.headers["Idempotent-Replayed"] == "true"
    assert ApiKey.objects.filter(project=project).count() == 1
    record = IdempotencyRecord.objects.get()
    assert first.data["key"].encode() not in bytes(record.body)
