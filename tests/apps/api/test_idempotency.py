"""Idempotency-Key: sent twice, done once; whatever happens to the first call."""

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from django.db import connection
from django.http import HttpResponse

from flowforge.api import idempotency
from flowforge.api.idempotency import LOCK_SECONDS, Claimed
from flowforge.core import clock
from flowforge.projects.models import Project
from tests.apps.api.kit import PROJECT, Things

KEY = {"Idempotency-Key": "k-1"}


def test_it_works(writer):
    first = writer.post("/v1/things", {"name": "one"}, headers=KEY).expect(201)
    again = writer.post("/v1/things", {"name": "one"}, headers=KEY).expect(201)
    assert again.body == first.body
    assert again.headers["Idempotent-Replayed"] == "true"
    assert "Idempotent-Replayed" not in first.headers
    for name in ("Location", "ETag", "Content-Type"):
        assert again.headers[name] == first.headers[name]
    assert again.headers["X-Trace-Id"] != first.headers["X-Trace-Id"]
    assert Things.made == 1
    assert Project.objects.count() == 1


def test_without_the_header_each_call_is_its_own(writer):
    assert writer.post("/v1/things", {"name": "one"}).data != writer.post("/v1/things", {"name": "one"}).data


def test_it_rejects_the_key_with_another_request(writer):
    writer.post("/v1/things", {"name": "one"}, headers=KEY).expect(201)
    assert writer.post("/v1/things", {"name": "two"}, headers=KEY).expect(422).code == "idempotency_key_reused"
    assert writer.post("/v1/things/x:run", {"name": "one"}, headers=KEY).expect(422).code == "idempotency_key_reused"
    assert Things.made == 1


@pytest.mark.parametrize("key", ["", "k" * 256, "tab\tkey", "schlüssel", "\x7f"])
def test_it_rejects_a_key_that_is_none(writer, key):
    answer = writer.post("/v1/things", {"name": "one"}, headers={"Idempotency-Key": key}).expect(400)
    assert answer.code == "malformed_request"
    assert Things.made == 0


def test_keys_of_other_projects_never_meet(writer, caller):
    writer.post("/v1/things", {"name": "one"}, headers=KEY).expect(201)
    several = caller("workflows:write two")  # no single project: its keys are its own
    assert several.post("/v1/things", {"name": "two"}, headers=KEY).expect(201).data["name"] == "two"


def claim(now, raw=b'{"name": "one"}') -> Claimed:
    """As if a first call had begun at `now` and gone on ever since."""
    found = idempotency._store().claim(scope=f"project:{PROJECT}", key="k-1", request_hash=hashed(raw), now=now)
    assert isinstance(found, Claimed)
    return found


def hashed(raw: bytes) -> str:
    class Request:
        method = "POST"
        body = raw

        def get_full_path(self) -> str:
            return "/v1/things"

    return idempotency._request_hash(Request(), Request.body)


def test_it_rejects_a_second_call_while_the_first_is_running(writer):
    claim(clock.now())
    answer = writer.post("/v1/things", {"name": "one"}, headers=KEY).expect(409)
    assert answer.code == "conflict"
    assert 1 <= int(answer.headers["Retry-After"]) <= LOCK_SECONDS
    assert Things.made == 0


def test_a_killed_first_call_blocks_nobody_for_ever(writer):
    claim(clock.now() - timedelta(seconds=LOCK_SECONDS + 1))
    writer.post("/v1/things", {"name": "one"}, headers=KEY).expect(201)


def test_it_rejects_the_work_of_a_call_whose_lock_was_taken_over(writer, monkeypatch):
    """The slow first call finds that another took over: its own work is rolled back, not doubled."""
    original = Things.created

    def slow(self, data, location, **kwargs) -> HttpResponse:
        claim(clock.now() + timedelta(seconds=LOCK_SECONDS + 1))  # the lock expired, another call has it
        return original(self, data, location, **kwargs)

    monkeypatch.setattr(Things, "created", slow)
    assert writer.post("/v1/things", {"name": "one"}, headers=KEY).expect(409).code == "conflict"
    assert Project.objects.count() == 0


def test_refusals_are_answers_too_and_are_kept(writer):
    first = writer.post("/v1/things", {"name": 3 * "too long"}, headers=KEY).expect(422)
    again = writer.post("/v1/things", {"name": 3 * "too long"}, headers=KEY).expect(422)
    assert again.body == first.body
    assert again.headers["Idempotent-Replayed"] == "true"
    assert again.headers["Content-Type"] == "application/problem+json"


def test_a_state_conflict_is_kept(writer):
    writer.post("/v1/things", {"name": "taken"}, headers=KEY).expect(409)
    assert writer.post("/v1/things", {"name": "taken"}, headers=KEY).expect(409).headers["Idempotent-Replayed"]


def test_failures_of_ours_are_not_kept(writer, monkeypatch):
    writer.post("/v1/things", {"name": "broken"}, headers=KEY).expect(503)
    again = writer.post("/v1/things", {"name": "broken"}, headers=KEY).expect(503)
    assert "Idempotent-Replayed" not in again.headers


def test_what_comes_after_the_work_replaces_the_stored_answer(writer):
    first = writer.post("/v1/things/x:run", headers=KEY).expect(200)
    assert first.data == {"id": "r1", "status": "completed"}
    assert writer.post("/v1/things/x:run", headers=KEY).expect(200).body == first.body
    assert Things.made == 1


def test_a_crash_after_the_work_replays_what_was_stored_with_it(writer, monkeypatch):
    def crash(self, *args, **kwargs):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Things, "ok", ok_until("completed", Things.ok))
        with pytest.raises(KeyboardInterrupt):
            writer.post("/v1/things/x:run", headers=KEY)
    replayed = writer.post("/v1/things/x:run", headers=KEY).expect(202)
    assert replayed.data == {"id": "r1", "status": "pending"}
    assert replayed.headers["Location"] == "/v1/runs/r1"


def ok_until(status: str, original):
    """`ok`, but the process dies when it would print that status."""

    def ok(self, data, **kwargs) -> HttpResponse:
        if data["status"] == status:
            raise KeyboardInterrupt
        return original(self, data, **kwargs)

    return ok


@pytest.mark.django_db(transaction=True)
def test_of_many_calls_at_once_one_does_the_work(caller):
    start = threading.Barrier(6)

    def call(_: int) -> int:
        client = caller("workflows:write")
        start.wait()
        try:
            return client.post("/v1/things", {"name": "one"}, headers=KEY).status
        finally:
            connection.close()

    with ThreadPoolExecutor(6) as pool:
        statuses = list(pool.map(call, range(6)))
    assert Project.objects.count() == 1
    assert set(statuses) <= {201, 409}
    assert 201 in statuses
