"""PATCH /v1/projects/{id} {"team"}."""

import pytest

from flowforge.projects.models import Membership
from tests import factories


@pytest.fixture
def path(project) -> str:
    return f"/v1/projects/{project.pk}"


@pytest.fixture
def owner(person, log_in, bearing):
    return bearing(log_in(person)["access"])


@pytest.fixture
def colleague(db):
    return factories.make_user()


def seat(user, role):
    return {"user": user.username, "role": role}


def test_it_works(owner, path, person, colleague, other_project, log_in, bearing):
    Membership.objects.create(project=other_project, user=colleague, role="owner")
    newcomer = bearing(log_in(colleague)["access"])
    newcomer.get(path).expect(404)
    answer = owner.patch(path, {"team": [seat(colleague, "editor"), seat(person, "owner")]}).expect(200)
    assert answer.data["team"] == [seat(person, "owner"), seat(colleague, "editor")]
    newcomer.get(path).expect(200)
    newcomer.patch(path, {"name": "Mine"}).expect(403)
    owner.patch(path, {"team": [seat(person, "owner"), seat(colleague, "admin")]}).expect(200)
    newcomer.patch(path, {"name": "Ours"}).expect(200)
    owner.patch(path, {"team": [seat(person, "owner")]}).expect(200)
    newcomer.get(path).expect(404)


@pytest.mark.parametrize("role", ["admin", "editor", "viewer"])
def test_it_rejects_a_team_without_owner(owner, path, person, role):
    assert owner.patch(path, {"team": [seat(person, role)]}).expect(422).pointers == {"/team": "owner_required"}
    assert owner.patch(path, {"team": []}).expect(422).pointers == {"/team": "owner_required"}
    assert Membership.objects.get(user=person).role == "owner"


def test_it_rejects_unknown_disabled_and_doubled_people(owner, path, person, colleague):
    gone = factories.make_user(is_active=False)
    team = [
        seat(person, "owner"),
        {"user": "nobody", "role": "viewer"},
        seat(gone, "viewer"),
        seat(colleague, "viewer"),
        {"user": str(colleague.pk), "role": "admin"},
        {"user": factories.unknown_id(), "role": "viewer"},
    ]
    assert owner.patch(path, {"team": team}).expect(422).pointers == {
        "/team/1/user": "not_found",
        "/team/2/user": "not_found",
        "/team/4/user": "duplicate",
        "/team/5/user": "not_found",
    }


def test_an_admin_changes_members_but_no_owners(path, person, colleague, project, log_in, bearing):
    boss = factories.make_user(project=project, role="admin")
    client = bearing(log_in(boss)["access"])
    kept = [seat(person, "owner"), seat(boss, "admin")]
    client.patch(path, {"team": [*kept, seat(colleague, "viewer")]}).expect(200)
    client.patch(path, {"team": [seat(person, "owner"), seat(boss, "owner")]}).expect(403)
    client.patch(path, {"team": [seat(boss, "owner")]}).expect(403)
    client.patch(path, {"team": [*kept, seat(colleague, "owner")]}).expect(403)
    assert set(Membership.objects.filter(project=project, role="owner").values_list("user_id", flat=True)) == {
        person.pk
    }


def test_it_rejects_keys_that_would_raise_themselves(client_with, path, person, colleague):
    team = [seat(person, "owner"), seat(colleague, "admin")]
    client_with("projects:write", "projects:read").patch(path, {"team": team}).expect(403)
    client_with("admin").patch(path, {"team": team}).expect(200)
    client_with("admin").patch(path, {"team": [seat(person, "owner"), seat(colleague, "owner")]}).expect(403)


def test_an_owner_may_hand_over(owner, path, person, colleague):
    owner.patch(path, {"team": [seat(colleague, "owner"), seat(person, "viewer")]}).expect(200)
    owner.patch(path, {"name": "Mine again"}).expect(403)


def test_a_seat_keeps_its_row_when_its_role_changes(owner, path, person, colleague, project):
    before = Membership.objects.create(project=project, user=colleague, role="viewer")
    owner.patch(path, {"team": [seat(person, "owner"), seat(colleague, "editor")]}).expect(200)
    after = Membership.objects.get(user=colleague)
    assert (after.pk, after.role) == (before.pk, "editor")
