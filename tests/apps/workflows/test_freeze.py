"""POST /v1/workflows/{id}:freeze and :thaw"""

import pytest

from flowforge.operating.models import Hold
from tests import factories
from tests.support.api import ApiClient

pytestmark = pytest.mark.django_db


def test_it_works(client: ApiClient, project: object) -> None:
    path = f"/v1/workflows/{factories.make_workflow(project=project).pk}"  # type: ignore[arg-type]  # a Project
    before = client.get(path).expect(200)
    assert before.data["freeze"] is None
    frozen = client.post(f"{path}:freeze", {"reason": "so"}).expect(200)
    assert frozen.data["freeze"]["status"] == "frozen"
    assert client.get("/v1/workflows").data[0]["freeze"] == frozen.data["freeze"]
    # a client that has the old state is told of it, and may edit what it has read all the same
    client.get(path, headers={"If-None-Match": before.headers["ETag"]}).expect(200)
    client.patch(path, {"description": "b"}, headers={"If-Match": before.headers["ETag"]}).expect(200)
    assert client.post(f"{path}:thaw", {"rate": "1/s"}).expect(200).data["freeze"]["rate"] == "1/s"


def test_it_accepts_runs_meanwhile(client: ApiClient, project: object) -> None:
    path = f"/v1/workflows/{factories.make_workflow(project=project).pk}"  # type: ignore[arg-type]  # a Project
    client.post(f"{path}:freeze", {"reason": "so"}).expect(200)
    assert client.post(f"{path}:run", {}).expect(202).data["status"] == "pending"


def test_it_rejects_strangers_and_what_is_not_frozen(client: ApiClient, stranger: ApiClient, project: object) -> None:
    path = f"/v1/workflows/{factories.make_workflow(project=project).pk}"  # type: ignore[arg-type]  # a Project
    stranger.post(f"{path}:freeze", {"reason": "so"}).expect(404)
    client.post(f"{path}:thaw", {}).expect(409)
    assert Hold.objects.count() == 0
