"""Of writers who saw the same state one wins: what If-Match asks for is looked at under the lock."""

import threading
from collections import Counter

import pytest
from django.db import connection

from tests import factories
from tests.support.api import ApiClient

THREADS = 8


def race(method: str, path: str, key: str, tag: str) -> Counter[int]:
    """The statuses of as many calls at once, all with the same If-Match."""
    barrier, found = threading.Barrier(THREADS), Counter[int]()
    client = ApiClient({"X-API-KEY": key, "If-Match": tag})

    def write(number: int) -> None:
        try:
            connection.ensure_connection()
            barrier.wait(timeout=60)
            body = {"name": f"writer {number}"} if method == "PATCH" else None
            found[client.request(method, path, body).status] += 1
        finally:
            connection.close()

    threads = [threading.Thread(target=write, args=(number,)) for number in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return found


@pytest.mark.django_db(transaction=True)
def test_it_works_for_exactly_one_of_eight():
    project = factories.make_project()
    _, key = factories.make_api_key(project=project)
    path = f"/v1/projects/{project.pk}"
    for _ in range(5):
        tag = ApiClient({"X-API-KEY": key}).get(path).expect(200).headers["ETag"]
        assert race("PATCH", path, key, tag) == {200: 1, 412: THREADS - 1}


@pytest.mark.django_db(transaction=True)
def test_it_rejects_to_revoke_twice_what_was_seen_once():
    project = factories.make_project()
    _, key = factories.make_api_key(project=project)
    row, _ = factories.make_api_key(project=project)
    path = f"/v1/api-keys/{row.pk}"
    tag = ApiClient({"X-API-KEY": key}).get(path).expect(200).headers["ETag"]
    assert race("DELETE", path, key, tag) == {204: 1, 412: THREADS - 1}
