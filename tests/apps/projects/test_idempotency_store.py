"""Where the answers to requests with an Idempotency-Key are kept."""

import threading
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connection

from flowforge.api.idempotency import KEEP, LOCK_SECONDS, Claimed, Mismatch, Replay, Running
from flowforge.projects.idempotency import DatabaseStore, purge
from flowforge.projects.models import IdempotencyRecord

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
LOCK = timedelta(seconds=LOCK_SECONDS)
store = DatabaseStore()


def claim(*, key: str = "k", scope: str = "project:1", request_hash: str = "h", after: timedelta = timedelta(0)) -> Any:
    return store.claim(scope=scope, key=key, request_hash=request_hash, now=NOW + after)


def finish(locked_until: datetime, body: bytes = b"{}", *, key: str = "k") -> bool:
    headers = {"Location": "/v1/things/1"}
    return store.finish(scope="project:1", key=key, locked_until=locked_until, status=201, headers=headers, body=body)


@pytest.mark.django_db
def test_it_works():
    first = claim()
    assert first == Claimed(locked_until=NOW + LOCK)
    assert claim() == Running(locked_until=NOW + LOCK)
    assert finish(first.locked_until, b'{"data": 1}')
    assert claim() == Replay(status=201, headers={"Location": "/v1/things/1"}, body=b'{"data": 1}')


@pytest.mark.django_db
def test_it_rejects_another_request_under_the_same_key():
    first = claim()
    assert claim(request_hash="other") == Mismatch()
    finish(first.locked_until)
    assert claim(request_hash="other") == Mismatch()
    assert isinstance(claim(scope="project:2", request_hash="other"), Claimed)


@pytest.mark.django_db
def test_a_call_that_died_blocks_nobody_for_ever():
    first = claim()
    assert isinstance(claim(after=LOCK - timedelta(microseconds=1)), Running)
    second = claim(after=LOCK)
    assert second == Claimed(locked_until=NOW + 2 * LOCK)
    assert not finish(first.locked_until, b"late")
    store.release(scope="project:1", key="k", locked_until=first.locked_until)
    assert finish(second.locked_until, b"in time")
    assert claim(after=LOCK).body == b"in time"


@pytest.mark.django_db
def test_it_rejects_another_request_to_take_over_from_the_dead():
    claim()
    assert claim(request_hash="other", after=LOCK) == Mismatch()


@pytest.mark.django_db
def test_an_answer_may_be_improved_by_its_own_call():
    first = claim()
    assert finish(first.locked_until, b"accepted")
    assert finish(first.locked_until, b"completed")
    assert claim().body == b"completed"


@pytest.mark.django_db
def test_a_finished_record_is_not_taken_over_when_its_lock_would_have_expired():
    finish(claim().locked_until, b"done")
    assert claim(after=10 * LOCK).body == b"done"


@pytest.mark.django_db
def test_what_failed_is_forgotten():
    first = claim()
    store.release(scope="project:1", key="k", locked_until=first.locked_until)
    assert isinstance(claim(), Claimed)


@pytest.mark.django_db
def test_after_a_day_the_key_is_free_for_another_request():
    finish(claim().locked_until, b"old")
    assert isinstance(claim(after=KEEP - timedelta(microseconds=1)), Replay)
    again = claim(after=KEEP, request_hash="other")
    assert isinstance(again, Claimed)
    assert isinstance(claim(after=KEEP, request_hash="other"), Running)
    assert IdempotencyRecord.objects.get().expires_at == NOW + 2 * KEEP


@pytest.mark.django_db
def test_the_cleaner_takes_what_has_expired_a_batch_at_a_time():
    for number in range(3):
        claim(key=f"old {number}")
    claim(key="young", after=timedelta(seconds=1))
    assert purge(now=NOW + KEEP, limit=2) == 2
    assert purge(now=NOW + KEEP, limit=2) == 1
    assert purge(now=NOW + KEEP, limit=2) == 0
    assert IdempotencyRecord.objects.get().key == "young"


@pytest.mark.django_db
def test_bodies_are_sealed_and_opened_with_any_secret_key_in_use(settings):
    finish(claim().locked_until, b"ffk_secret")
    assert b"ffk_secret" not in bytes(IdempotencyRecord.objects.get().body)
    settings.SECRET_KEY, settings.SECRET_KEY_FALLBACKS = "the newest of all secret keys", [settings.SECRET_KEY]
    assert claim().body == b"ffk_secret"


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("expired", [False, True], ids=["fresh", "expired"])
def test_of_many_concurrent_claims_one_wins(expired):
    if expired:
        finish(claim().locked_until)
    after = KEEP if expired else timedelta(0)
    barrier, outcomes = threading.Barrier(20), []

    def race() -> None:
        try:
            connection.ensure_connection()
            barrier.wait(timeout=60)
            outcomes.append(type(claim(after=after)))
        finally:
            connection.close()

    threads = [threading.Thread(target=race) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(kind.__name__ for kind in outcomes) == ["Claimed"] + ["Running"] * 19
