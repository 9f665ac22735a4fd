"""Copies of one call at the same moment: one run, on every database."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import connection

from runs.models import Run, RunEvent
from tests.apps.webhooks.conftest import generic_headers, make_webhook, standard_headers
from webhooks.models import Call

pytestmark = pytest.mark.django_db(transaction=True)

COPIES = 100
CALLERS = 10  # threads: each sends a tenth of the copies


def at_once(call):
    """What the threads get that begin together; each with its own connection."""
    barrier = threading.Barrier(CALLERS)

    def some(_number):
        try:
            connection.ensure_connection()
            barrier.wait(30)
            return [call() for _ in range(COPIES // CALLERS)]
        finally:
            connection.close()

    with ThreadPoolExecutor(CALLERS) as pool:
        return [answer for answers in pool.map(some, range(CALLERS)) for answer in answers]


@pytest.mark.parametrize("scheme", ["standard", "generic"])
def test_it_works(workflow, post, scheme):
    webhook = make_webhook(workflow, signature_scheme=scheme)
    body = b'{"order": 7}'
    headers = standard_headers(body) if scheme == "standard" else generic_headers(body)

    answers = at_once(lambda: post(webhook, body, headers=headers))

    run = Run.objects.get()
    assert RunEvent.objects.count() == 1
    assert {answer.data["run_id"] for answer in answers} == {str(run.pk)}
    assert sorted(answer.status for answer in answers) == [200] * (COPIES - 1) + [202]
    assert sum(answer.headers.get("Idempotent-Replayed") == "true" for answer in answers) == COPIES - 1
    assert Call.objects.filter(decision="fired").count() == 1
    assert Call.objects.filter(decision="coalesced").count() == COPIES - 1


def test_different_calls_are_different_runs(webhook, post):
    ids = iter(range(COPIES))
    answers = at_once(lambda: post(webhook, {"a": 1}, message_id=f"msg_{next(ids)}"))

    assert {answer.status for answer in answers} == {202}
    assert Run.objects.count() == COPIES
