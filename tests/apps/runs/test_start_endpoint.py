"""POST /v1/workflows/{id}:run, /runs, /runs:batch and /execute"""

from datetime import timedelta

import pytest

from flowforge.core import clock
from flowforge.core.ids import new_id
from runs import waiting
from runs.models import Run
from runs.services import cancel_run
from tests import factories
from tests.factories import make_run

pytestmark = pytest.mark.django_db


def run_path(workflow):
    return f"/v1/workflows/{workflow.id}:run"


def batch_path(workflow):
    return f"/v1/workflows/{workflow.id}/runs:batch"


@pytest.mark.parametrize("form", ["/v1/workflows/{}:run", "/v1/workflows/{}/runs"])
def test_it_works(client, chain, form, bell, django_capture_on_commit_callbacks):
    later = clock.now() + timedelta(days=1)
    with django_capture_on_commit_callbacks(execute=True):
        answer = client.post(
            form.format(chain.id),
            {"inputs": {"day": "monday"}, "metadata": {"n": 1}, "priority": 7, "dedupe_key": "k"},
            headers={"traceparent": f"00-{'a' * 32}-{'b' * 16}-01"},
        ).expect(202)

    run = Run.objects.get()
    shown = answer.data
    assert answer.headers["Location"] == f"/v1/runs/{run.id}"
    assert (shown["id"], shown["status"], shown["trace_id"]) == (str(run.id), "pending", "a" * 32)
    assert shown["inputs"] == {"day": "monday", "mode": "full"}
    assert shown == client.get(f"/v1/runs/{run.id}").data
    assert [step["status"] for step in shown["steps"]] == ["pending", "pending"]
    assert (run.priority, run.metadata, run.trace_id) == (7, {"n": 1}, "a" * 32)
    assert run.created_by.startswith("key:")
    assert bell.driven == [run.id]
    client.post(run_path(chain), {"inputs": {"day": "x"}, "run_at": later.isoformat()}).expect(202)
    assert Run.objects.latest("id").run_at == later


def test_it_needs_no_body(client, workflow):
    client.post(run_path(workflow)).expect(202)
    client.post(run_path(workflow), {"priority": None, "run_at": None, "dedupe_key": None, "wait": None}).expect(202)
    assert Run.objects.count() == 2


def test_it_rejects_those_who_may_not(workflow, client_with, client_as, stranger, anonymous):
    client_as("operator").post(run_path(workflow)).expect(202)
    client_with("runs:write").post(run_path(workflow)).expect(202)
    client_as("viewer").post(run_path(workflow)).expect(403)
    client_with("runs:read", "workflows:write").post(run_path(workflow)).expect(403)
    stranger.post(run_path(workflow)).expect(404)
    anonymous.post(run_path(workflow)).expect(401)
    assert Run.objects.count() == 2


@pytest.mark.parametrize(
    ("body", "pointers"),
    [
        ({"inputs": {}}, {"/inputs/day": "required"}),
        ({"inputs": {"day": 3}}, {"/inputs/day": "type"}),
        ({"inputs": []}, {"/inputs": "not_a_dict"}),
        ({"input": {"day": "x"}}, {"/input": "unknown_field"}),
        ({"metadata": "x"}, {"/metadata": "not_a_dict"}),
        ({"priority": 2**31}, {"/priority": "max_value"}),
        ({"priority": "high"}, {"/priority": "invalid"}),
        ({"run_at": "tomorrow"}, {"/run_at": "invalid"}),
        ({"dedupe_key": ""}, {"/dedupe_key": "blank"}),
        ({"dedupe_key": "x" * 256}, {"/dedupe_key": "max_length"}),
        ({"wait": "soon"}, {"/wait": "invalid"}),
        ({"wait": "61s"}, {"/wait": "max_value"}),
        ({"wait": -1}, {"/wait": "invalid"}),
    ],
)
def test_it_rejects_a_bad_body(client, chain, body, pointers):
    answer = client.post(run_path(chain), body).expect(422)

    assert answer.pointers == pointers
    assert not Run.objects.exists()


def test_it_rejects_an_unknown_workflow(client):
    client.post(f"/v1/workflows/{new_id()}:run").expect(404)
    client.post("/v1/workflows/nonsense:run").expect(404)


@pytest.mark.parametrize("status", ["paused", "archived"])
def test_it_rejects_a_workflow_that_takes_no_runs(client, project, status):
    workflow = factories.make_workflow(project=project, status=status)

    assert client.post(run_path(workflow)).expect(409).code == "conflict"


def test_a_dedupe_key_answers_with_the_run_that_it_has(client, workflow):
    first = client.post(run_path(workflow), {"dedupe_key": "k"}).expect(202)

    again = client.post(run_path(workflow), {"dedupe_key": "k", "metadata": {"n": 2}}).expect(200)

    assert again.data == first.data
    assert Run.objects.count() == 1


def test_an_idempotency_key_does_it_once(client, workflow):
    key = {"Idempotency-Key": "one"}
    first = client.post(run_path(workflow), {"metadata": {"n": 1}}, headers=key).expect(202)

    again = client.post(run_path(workflow), {"metadata": {"n": 1}}, headers=key).expect(202)

    assert again.data == first.data
    assert again.headers["Idempotent-Replayed"] == "true"
    assert again.headers["Location"] == first.headers["Location"]
    client.post(run_path(workflow), {"metadata": {"n": 2}}, headers=key).expect(422)
    assert Run.objects.count() == 1


def test_it_takes_few_queries(client, workflow, own_queries):
    client.post(run_path(workflow))

    with own_queries:
        client.post(run_path(workflow)).expect(202)

    statements = [sql.split()[0] for sql in own_queries.statements]
    assert statements == ["SELECT", "SAVEPOINT", "INSERT", "INSERT", "RELEASE"]


# --- wait ---------------------------------------------------------------------------------------------------------


def test_wait_answers_with_the_finished_run(client, workflow, end, monkeypatch):
    waited = []

    def ends_meanwhile(run_id, seconds):
        waited.append(seconds)
        end(Run.objects.get(id=run_id), outputs={"answer": 42})
        return True

    monkeypatch.setattr("runs.api.start_views.wait_until_ended", ends_meanwhile)

    shown = client.post(run_path(workflow), {"wait": "1m"}).expect(200).data

    assert (shown["status"], shown["outputs"]) == ("completed", {"answer": 42})
    assert waited == [60.0]


def test_wait_gives_up_in_time(client, workflow):
    answer = client.post(run_path(workflow), {"wait": "1ms"}).expect(202)

    assert answer.data["status"] == "pending"
    assert answer.headers["Location"] == f"/v1/runs/{answer.data['id']}"


@pytest.mark.django_db(transaction=True)
def test_wait_sees_a_run_that_another_process_ends(client, workflow, end, monkeypatch):
    """The run is committed before the waiting begins, with an Idempotency-Key too."""
    look = waiting._has_ended

    def ends_at_the_second_look(run_id):
        found = look(run_id)
        end(Run.objects.get(id=run_id))
        return found

    monkeypatch.setattr(waiting, "_has_ended", ends_at_the_second_look)
    key = {"Idempotency-Key": "one"}

    answer = client.post(run_path(workflow), {"wait": "10s"}, headers=key).expect(200)
    again = client.post(run_path(workflow), {"wait": "10s"}, headers=key).expect(200)

    assert answer.data["status"] == "completed"
    assert again.data == answer.data
    assert again.headers["Idempotent-Replayed"] == "true"


def test_wait_on_a_run_that_a_dedupe_key_has(client, workflow):
    client.post(run_path(workflow), {"dedupe_key": "k"})

    client.post(run_path(workflow), {"dedupe_key": "k", "wait": "1ms"}).expect(200)


# --- batch --------------------------------------------------------------------------------------------------------


def test_a_batch_answers_in_order(client, chain):
    answer = client.post(
        batch_path(chain),
        {
            "items": [
                {"inputs": {"day": "monday"}, "priority": 1},
                {"inputs": {"day": 3}},
                {"inptus": {}},
                {"inputs": {"day": "friday"}, "metadata": {"n": 2}, "dedupe_key": "k"},
                {"inputs": {"day": "friday"}, "dedupe_key": "k"},
            ]
        },
    ).expect(202)

    first, wrong, typo, last, again = answer.data
    assert answer.headers["Location"] == f"/v1/workflows/{chain.id}/runs"
    assert answer.meta == {"cursor": None, "has_more": False}
    assert first["run"]["inputs"] == {"day": "monday", "mode": "full"}
    assert "steps" not in first["run"]
    assert wrong["error"]["status"] == 422
    assert wrong["error"]["errors"][0]["pointer"] == "/items/1/inputs/day"
    assert typo["error"]["errors"][0]["pointer"] == "/items/2/inptus"
    assert last["run"]["metadata"] == {"n": 2}
    assert again["run"]["id"] == last["run"]["id"]
    assert Run.objects.count() == 2


@pytest.mark.parametrize(
    ("body", "pointers"),
    [
        ({}, {"/items": "required"}),
        ({"items": []}, {"/items": "min_length"}),
        ({"items": [{}] * 1001}, {"/items": "max_length"}),
        ({"items": [{}, 3]}, {"/items/1": "not_a_dict"}),
        ({"items": [{}], "wait": "1s"}, {"/wait": "unknown_field"}),
    ],
)
def test_it_rejects_a_bad_batch(client, workflow, body, pointers):
    assert client.post(batch_path(workflow), body).expect(422).pointers == pointers
    assert not Run.objects.exists()


def test_a_batch_of_a_paused_workflow_is_rejected(client, project):
    workflow = factories.make_workflow(project=project, status="paused")

    client.post(batch_path(workflow), {"items": [{}]}).expect(409)


def test_a_batch_is_done_once(client, workflow):
    key = {"Idempotency-Key": "one"}
    first = client.post(batch_path(workflow), {"items": [{}, {}]}, headers=key).expect(202)

    assert client.post(batch_path(workflow), {"items": [{}, {}]}, headers=key).expect(202).data == first.data
    assert Run.objects.count() == 2


def test_it_rejects_a_batch_of_a_stranger(workflow, stranger, client_as):
    stranger.post(batch_path(workflow), {"items": [{}]}).expect(404)
    client_as("viewer").post(batch_path(workflow), {"items": [{}]}).expect(403)


# --- execute ------------------------------------------------------------------------------------------------------


def test_execute_answers_without_an_envelope(client, chain):
    answer = client.post(
        f"/v1/workflows/{chain.id}/execute", {"input": {"day": "monday"}, "metadata": {"n": 1}}
    ).expect(202)

    run = Run.objects.get()
    assert answer.json == {"execution_id": str(run.id), "status": "RUNNING"}
    assert run.inputs == {"day": "monday", "mode": "full"}
    assert run.metadata == {"n": 1}


def test_it_rejects_a_bad_execution(client, chain, stranger):
    path = f"/v1/workflows/{chain.id}/execute"

    assert client.post(path, {"inputs": {"day": "x"}}).expect(422).pointers == {"/inputs": "unknown_field"}
    assert client.post(path, {"input": {}}).expect(422).pointers == {"/input/day": "required"}
    stranger.post(path, {"input": {"day": "x"}}).expect(404)


# --- rates --------------------------------------------------------------------------------------------------------


def test_starting_counts_on_a_bucket_of_its_own(client, workflow, settings):
    settings.RATE_LIMITS = {**settings.RATE_LIMITS, "general": "1000/m", "runs": "2/m"}
    run = make_run(workflow=workflow)

    client.post(run_path(workflow)).expect(202)
    client.post(batch_path(workflow), {"items": [{}]}).expect(202)

    assert client.post(f"/v1/workflows/{workflow.id}/execute").expect(429).headers["Retry-After"]
    client.get(f"/v1/runs/{run.id}").expect(200)
    cancel_run(run_id=run.id)


def limited(project, **config):
    return factories.make_workflow(project=project, definition={**factories.DEFINITION, "config": config})


def test_it_rejects_a_run_whose_key_has_no_place(client, project):
    workflow = limited(project, concurrency={"key": "{{ inputs.k }}", "on_conflict": "reject"})
    holder = client.post(run_path(workflow), {"inputs": {"k": "x"}}).expect(202).data["id"]
    problem = client.post(run_path(workflow), {"inputs": {"k": "x"}}).expect(409).json
    assert problem["code"] == "concurrency_conflict"
    assert problem["holder"] == {"type": "run", "id": holder}
    assert holder in problem["detail"]
    batch = {"items": [{"inputs": {"k": "x"}}, {"inputs": {"k": "y"}}]}
    refused, started = client.post(f"/v1/workflows/{workflow.id}/runs:batch", batch).expect(202).data
    assert (refused["error"]["status"], refused["error"]["holder"]["id"]) == (409, holder)
    assert started["run"]["status"] == "pending"


def test_it_rejects_a_key_that_cannot_be_evaluated(client, project):
    workflow = limited(project, rate_limit={"key": "{{ 1 / inputs.k }}", "limit": "1/s"})
    problem = client.post(run_path(workflow), {"inputs": {"k": 0}}).expect(422).json
    assert problem["errors"][0]["pointer"] == "/inputs"
    assert "config.rate_limit.key" in problem["errors"][0]["detail"]


def test_calls_that_are_debounced_get_the_same_run(client, project):
    workflow = limited(project, debounce={"delay": "1h"})
    first = client.post(run_path(workflow), {"inputs": {"n": 1}}).expect(202)
    second = client.post(run_path(workflow), {"inputs": {"n": 2}}).expect(202)
    assert second.data["id"] == first.data["id"]
    assert second.data["inputs"] == {"n": 2}
    assert second.headers["Location"] == first.headers["Location"]
