"""A bound on what waits: beyond it, starts from outside are refused in words, and what was accepted goes on."""

from datetime import timedelta

import pytest

from flowforge.core import clock
from runs.models import Run
from runs.services import backlog, start_run
from tests.factories import make_run

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _of_two(settings):
    settings.MAX_BACKLOG = 2


def path(workflow, rest=":run"):
    return f"/v1/workflows/{workflow.pk}{rest}"


def waits(workflow):
    return make_run(workflow=workflow, status="pending", wake_at=clock.now())


@pytest.mark.parametrize(
    ("rest", "body"), [(":run", {}), ("/runs:batch", {"items": [{}]}), ("/execute", {"input": {}})]
)
def test_it_works(client, workflow, rest, body):
    waits(workflow)
    client.post(path(workflow, rest), body).expect(202)
    backlog.forget()
    answer = client.post(path(workflow, rest), body).expect(503)
    assert (answer.code, answer.headers["Retry-After"]) == ("unavailable", "5")
    assert Run.objects.count() == 2
    client.get("/v1/runs").expect(200)


def test_what_need_not_be_begun_now_does_not_count(client, workflow):
    for status, wake_at in [("running", clock.now()), ("pending", None), ("pending", clock.now() + timedelta(hours=1))]:
        make_run(workflow=workflow, status=status, wake_at=wake_at)
    client.post(path(workflow)).expect(202)


def test_a_key_that_has_its_answer_gets_it_all_the_same(client, workflow):
    key = {"Idempotency-Key": "k"}
    first = client.post(path(workflow), {}, headers=key).expect(202)
    waits(workflow)
    backlog.forget()
    assert client.post(path(workflow), {}, headers=key).expect(202).data["id"] == first.data["id"]
    client.post(path(workflow), {}, headers={"Idempotency-Key": "other"}).expect(503)
    Run.objects.update(wake_at=None)
    backlog.forget()
    client.post(path(workflow), {}, headers={"Idempotency-Key": "other"}).expect(202)  # the refusal was not kept


def test_what_starts_from_within_is_not_refused(workflow):
    for _ in range(3):
        waits(workflow)
    start_run(workflow=workflow, inputs={}, caller_actor="schedule:1")
    assert Run.objects.count() == 4


def test_there_may_be_no_bound(client, workflow, settings):
    settings.MAX_BACKLOG = 0
    for _ in range(3):
        waits(workflow)
    client.post(path(workflow)).expect(202)


def test_asking_costs_a_query_a_second_at_most(client, workflow, query_counter):
    client.post(path(workflow)).expect(202)
    with query_counter() as queries:
        client.post(path(workflow)).expect(202)
    assert not [query for query in queries if "wake_at" in query["sql"].partition("WHERE")[2]]
