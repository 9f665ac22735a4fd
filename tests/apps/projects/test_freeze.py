"""POST /v1/projects/{id}:freeze and :thaw"""

from datetime import timedelta

import pytest

from flowforge.core import clock
from flowforge.operating.models import Hold

pytestmark = pytest.mark.django_db


@pytest.fixture
def path(project) -> str:
    return f"/v1/projects/{project.pk}"


def test_it_works(client, path, frozen_clock):
    before = client.get(path).expect(200)
    assert before.data["freeze"] is None
    until = "2026-01-01T14:00:00.000000Z"
    answer = client.post(f"{path}:freeze", {"reason": "Orders come twice.", "until": until}).expect(200)
    shown = answer.data["freeze"]
    assert shown.pop("by")
    assert shown == {
        "status": "frozen",
        "reason": "Orders come twice.",
        "since": "2026-01-01T12:00:00.000000Z",
        "until": until,
        "rate": None,
    }
    assert client.get(path).data["freeze"] == answer.data["freeze"]
    assert client.get("/v1/projects").data[0]["freeze"] == answer.data["freeze"]
    assert client.get(path).headers["ETag"] == answer.headers["ETag"] != before.headers["ETag"]

    thawing = client.post(f"{path}:thaw", {"rate": "10/m"}).expect(200).data["freeze"]
    assert (thawing["status"], thawing["rate"], thawing["until"]) == ("thawing", "10/m", None)


def test_freezing_again_changes_the_reason(client, path, frozen_clock):
    client.post(f"{path}:freeze", {"reason": "a"}).expect(200)
    frozen_clock.advance(60)
    again = client.post(f"{path}:freeze", {"reason": "b"}).expect(200).data["freeze"]
    assert (again["reason"], again["since"]) == ("b", "2026-01-01T12:00:00.000000Z")
    assert Hold.objects.count() == 1


def test_what_thaws_can_be_frozen_again(client, path):
    client.post(f"{path}:freeze", {"reason": "a"}).expect(200)
    client.post(f"{path}:thaw", {}).expect(200)
    assert client.post(f"{path}:freeze", {"reason": "b"}).expect(200).data["freeze"]["status"] == "frozen"


def test_an_operator_may(client_as, path):
    client_as("operator").post(f"{path}:freeze", {"reason": "a"}).expect(200)


@pytest.mark.parametrize(
    ("body", "pointer", "code"),
    [
        ({}, "/reason", "required"),
        ({"reason": ""}, "/reason", "blank"),
        ({"reason": "a", "until": "soon"}, "/until", "invalid"),
        ({"reason": "a", "until": (clock.now() - timedelta(days=1)).isoformat()}, "/until", "in_the_past"),
        ({"reason": "a", "for": "1h"}, "/for", "unknown_field"),
    ],
)
def test_it_rejects_a_body(client, path, body, pointer, code):
    assert client.post(f"{path}:freeze", body).expect(422).pointers == {pointer: code}
    assert Hold.objects.count() == 0


def test_it_rejects_a_rate(client, path):
    client.post(f"{path}:freeze", {"reason": "a"}).expect(200)
    assert client.post(f"{path}:thaw", {"rate": "fast"}).expect(422).pointers == {"/rate": "invalid_rate"}


def test_it_rejects_thawing_what_is_not_frozen(client, path):
    assert client.post(f"{path}:thaw", {}).expect(409).code == "conflict"


def test_it_rejects_viewers_and_strangers(client_as, stranger, path):
    assert client_as("viewer").post(f"{path}:freeze", {"reason": "a"}).expect(403)
    assert stranger.post(f"{path}:freeze", {"reason": "a"}).expect(404)
    assert Hold.objects.count() == 0
