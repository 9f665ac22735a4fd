"""GET /v1/auth/me."""

import pytest

from flowforge.projects.constants import SCOPES
from flowforge.projects.models import Membership
from tests import factories


def test_it_works_for_a_person(person, project, log_in, bearing):
    me = bearing(log_in(person)["access"]).get("/v1/auth/me").expect(200)
    assert me.data == {
        "kind": "user",
        "id": str(person.pk),
        "name": person.username,
        "username": person.username,
        "is_staff": False,
        "projects": [
            {
                "id": str(project.pk),
                "name": project.name,
                "status": "active",
                "role": "owner",
                "scopes": list(SCOPES),
            }
        ],
    }
    assert me.headers["ETag"]


def test_it_works_for_a_key(client_with, project):
    me = client_with("runs:read").get("/v1/auth/me").expect(200).data
    assert (me["kind"], me["username"]) == ("key", None)
    assert [(place["id"], place["role"], place["scopes"]) for place in me["projects"]] == [
        (str(project.pk), None, ["runs:read"])
    ]


def test_it_rejects_no_credential(anonymous):
    answer = anonymous.get("/v1/auth/me").expect(401)
    assert answer.code == "not_authenticated"


@pytest.mark.parametrize(
    ("role", "can", "cannot"),
    [
        ("viewer", "runs:read", "credentials:read"),
        ("operator", "runs:write", "workflows:write"),
        ("editor", "workflows:write", "keys:write"),
        ("admin", "keys:write", None),
    ],
)
def test_what_each_role_may_do(client_as, role, can, cannot):
    scopes = client_as(role).get("/v1/auth/me").data["projects"][0]["scopes"]
    assert can in scopes
    assert cannot not in scopes


def test_a_person_of_several_projects_sees_each(person, other_project, log_in, bearing):
    Membership.objects.create(project=other_project, user=person, role="viewer")
    projects = bearing(log_in(person)["access"]).get("/v1/auth/me").data["projects"]
    assert {place["role"] for place in projects} == {"owner", "viewer"}


def test_a_person_without_project_is_somebody_all_the_same(db, log_in, bearing):
    loner = factories.make_user()
    assert bearing(log_in(loner)["access"]).get("/v1/auth/me").expect(200).data["projects"] == []
