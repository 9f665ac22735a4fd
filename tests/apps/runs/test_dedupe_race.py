"""Callers with the same dedupe key at the same moment: one run, on every database."""

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from django.db import connection

from flowforge.core import clock
from flowforge.core.ids import new_id
from runs.models import DedupeKey, Run, RunEvent
from runs.services import Origin, StartItem, start_run, start_runs

pytestmark = pytest.mark.django_db(transaction=True)

CALLERS = 8


def at_once(call):
    """What `CALLERS` threads get that begin together; each with its own connection."""
    barrier = threading.Barrier(CALLERS)

    def one(number):
        try:
            connection.ensure_connection()
            barrier.wait(30)
            return call(number)
        finally:
            connection.close()

    with ThreadPoolExecutor(CALLERS) as pool:
        return list(pool.map(one, range(CALLERS)))


def start(workflow):
    return lambda _number: start_run(workflow=workflow, inputs={}, caller_actor="test", dedupe_key="k")


def test_it_works(workflow):
    answers = at_once(start(workflow))

    assert {answer.run.id for answer in answers} == {Run.objects.get().id}
    assert sum(answer.created for answer in answers) == 1
    assert RunEvent.objects.count() == 1


def test_an_expired_key_goes_to_one_of_them(workflow):
    DedupeKey.objects.create(workflow=workflow, key="k", run_id=new_id(), expires_at=clock.now() - timedelta(seconds=1))

    answers = at_once(start(workflow))

    assert {answer.run.id for answer in answers} == {Run.objects.get().id}
    assert sum(answer.created for answer in answers) == 1


def test_batches_with_the_same_keys_in_other_orders_get_the_same_runs(workflow):
    keys = [f"k{number}" for number in range(30)]

    def batch(number):
        turned = keys[number:] + keys[:number]
        items = [StartItem(dedupe_key=key) for key in turned]
        answers = start_runs(workflow=workflow, items=items, origin=Origin(actor="test"))
        return {key: answer.run.id for key, answer in zip(turned, answers, strict=True)}

    first, *others = at_once(batch)

    assert Run.objects.count() == len(keys)
    assert all(other == first for other in others)
