"""GET /v1/step-types."""

from collections.abc import Callable

from flowforge.projects.models import Project
from tests.support.api import ApiClient

URL = "/v1/step-types"


def test_it_works(client: ApiClient, project: Project) -> None:
    answer = client.get(URL).expect(200)
    assert answer.meta == {"cursor": None, "has_more": False}
    found = {row["name"]: row for row in answer.data}
    assert list(found) == sorted(found)
    assert set(found["transform"]) == {
        *("name", "title", "description", "kind", "config_schema", "output_schema", "allowed"),
    }
    assert found["transform"]["kind"] == "pure"
    assert found["transform"]["config_schema"]["type"] == "object"
    assert (found["transform"]["allowed"], found["python"]["allowed"]) == (True, False)
    project.settings = {"allowed_step_types": ["python"]}
    project.save(update_fields=["settings"])
    found = {row["name"]: row["allowed"] for row in client.get(URL, project_id=str(project.pk)).data}
    assert (found["transform"], found["python"]) == (False, True)


def test_it_comes_in_pages(client: ApiClient) -> None:
    everything = client.get(URL, limit=100).expect(200).data
    first = client.get(URL, limit=2).expect(200)
    assert first.meta["has_more"]
    second = client.get(URL, limit=2, cursor=first.meta["cursor"]).expect(200)
    assert first.data + second.data == everything[:4]


def test_without_a_project_nothing_is_said_of_allowing(
    client_as: Callable[..., ApiClient], project: Project, other_project: Project
) -> None:
    both = client_as("viewer")
    other_project.memberships.create(user=project.members.get(), role="viewer")
    assert {row["allowed"] for row in both.get(URL).expect(200).data} == {None}


def test_it_rejects_who_may_not(
    client: ApiClient, client_with: Callable[..., ApiClient], anonymous: ApiClient, other_project: Project
) -> None:
    client.get(URL, project_id=str(other_project.pk)).expect(404)
    client_with("runs:read").get(URL).expect(403)
    anonymous.get(URL).expect(401)
