"""GET /v1/approvals, POST /v1/runs/{id}/steps/{step_id}:approve and :reject"""

from datetime import timedelta

import pytest
from django.db import connection

from flowforge.core import clock
from flowforge.core.ids import new_id, step_id
from flowforge.projects.models import Membership, User
from flowforge.steps import approval
from runs.models import Run, StepRun
from runs.waits import waiting_steps
from tests import factories
from tests.support.api import ApiClient

pytestmark = pytest.mark.django_db

FORM = {
    "type": "object",
    "required": ["amount"],
    "additionalProperties": False,
    "properties": {"amount": {"type": "integer"}, "note": {"type": "string", "default": "none"}},
}
DEFINITION = {
    "nodes": [
        {"id": "review", "name": "Review it", "type": "approval", "config": {}},
        {"id": "pause", "type": "delay", "config": {"duration": "1h"}},
    ],
    "edges": [],
}


@pytest.fixture
def ask(project):
    """`ask(assignees=["ada"])`: a step that waits for a decision, as the engine leaves it."""

    def make(*, project=project, available_at=None, node_id="review", waits_for="approval", run=None, **asks):
        workflow = factories.make_workflow(project=project, definition=DEFINITION)
        run = run or factories.make_run(workflow=workflow, status="waiting", wake_at=None)
        then = {"status": "completed", "output": None, **({"asks": asks} if asks else {})}
        return factories.make_step(
            run=run,
            node_id=node_id,
            status="waiting",
            waits_for=waits_for,
            then=then,
            started_at=clock.now(),
            available_at=available_at,
        )

    return make


@pytest.fixture
def person(project):
    """`person("operator")`: (their name, their client)."""

    def make(role):
        user = factories.make_user(project=project, role=role)
        login = {"username": user.username, "password": factories.PASSWORD}
        access = ApiClient().post("/v1/auth/token", login).expect(200).data["access"]
        return user.username, ApiClient({"Authorization": f"Bearer {access}"})

    return make


def path(step, action="approve"):
    return f"/v1/runs/{step.run_id}/steps/{step.id}:{action}"


def listed(client, **query):
    return [row["step_id"] for row in client.get("/v1/approvals", **query).expect(200).data]


# --- the listing --------------------------------------------------------------------------------------------------


def test_it_works(client, ask, frozen_clock):
    step = ask(title="Go?", instructions="Look.", form=FORM, available_at=clock.now() + timedelta(hours=1))

    [shown] = client.get("/v1/approvals").expect(200).data

    assert shown == {
        "id": str(step.id),
        "step_id": str(step.id),
        "run_id": str(step.run_id),
        "node_id": "review",
        "project_id": str(step.run.project_id),
        "workflow_id": str(step.run.workflow_id),
        "workflow_name": step.run.workflow.name,
        "title": "Go?",
        "instructions": "Look.",
        "form": FORM,
        "assignees": [],
        "requested_at": "2026-01-01T12:00:00.000000Z",
        "expires_at": "2026-01-01T13:00:00.000000Z",
    }


def test_it_rejects_what_is_no_filter(client):
    assert client.get("/v1/approvals", run_id="x").expect(400).code == "invalid_query"
    client.get("/v1/approvals", status="waiting").expect(400)


def test_it_lists_what_can_be_decided_now(client, ask, end):
    [decided, late, cancelled, ended, done] = [ask() for _ in range(5)]
    StepRun.objects.filter(id=decided.id).update(resolution={"status": "completed"})
    StepRun.objects.filter(id=late.id).update(available_at=clock.now())
    cancelled.run.cancel_requested_at = clock.now()
    cancelled.run.save(update_fields=["cancel_requested_at"])
    end(ended.run)
    StepRun.objects.filter(id=done.id).update(status="completed")
    ask(waits_for="time", node_id="pause")
    open_one = ask()

    assert listed(client) == [str(open_one.id)]
    assert client.get("/v1/approvals").data[0]["title"] == "Review it"


def test_it_lists_what_is_for_the_caller(ask, person, client, client_with):
    name, operator = person("operator")
    everybody = ask()
    _, by_name = ask(assignees=["nobody"]), ask(assignees=[name, "nobody"])
    by_role = ask(assignees=["operator"])

    assert listed(operator) == [str(step.id) for step in (by_role, by_name, everybody)]
    assert listed(client) == listed(client_with("runs:write")) == [str(everybody.id)]


def test_a_role_counts_in_its_project_alone(ask, project, other_project, person):
    """An editor here, an operator there."""
    name, client = person("editor")
    Membership.objects.create(project=other_project, user=User.objects.get(username=name), role="operator")
    ask(assignees=["operator"]), ask(assignees=["editor"], project=other_project)
    mine = {str(ask(assignees=["editor"]).id), str(ask(assignees=["operator"], project=other_project).id)}

    assert set(listed(client)) == mine


def test_it_filters_and_pages(client, ask):
    steps = [ask() for _ in range(5)]
    newest_first = [str(step.id) for step in reversed(steps)]

    first = client.get("/v1/approvals", limit=2).expect(200)
    second = client.get("/v1/approvals", limit=2, cursor=first.meta["cursor"]).expect(200)

    assert [row["id"] for row in first.data + second.data] == newest_first[:4]
    assert listed(client, run_id=steps[2].run_id) == [str(steps[2].id)]
    assert listed(client, workflow_id=steps[1].run.workflow_id) == [str(steps[1].id)]
    assert listed(client, project_id=steps[0].run.project_id) == newest_first
    for name in ("run_id", "workflow_id", "project_id"):
        client.get("/v1/approvals", **{name: new_id()}).expect(404)


def test_a_page_costs_few_queries(client, ask, own_queries):
    for _ in range(3):
        ask(assignees=[])
    client.get("/v1/approvals").expect(200)
    with own_queries:
        client.get("/v1/approvals").expect(200)
    assert len(own_queries.statements) == 1


def test_the_index_serves_it(project):
    steps = waiting_steps(approval.WAITS_FOR).order_by("-started_at", "-id")[:21]
    if connection.vendor == "sqlite":  # PostgreSQL reads a table that fits one page from end to end
        assert "USING INDEX step_waiting" in steps.explain()
    assert list(steps) == []


# --- the decision -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("action", "decision"), [("approve", "approved"), ("reject", "rejected")])
def test_a_decision(client, ask, bell, action, decision, django_capture_on_commit_callbacks):
    step = ask(form=FORM)

    with django_capture_on_commit_callbacks(execute=True):
        answer = client.post(path(step, action), {"data": {"amount": 3}}).expect(202)

    assert answer.headers["Location"] == f"/v1/runs/{step.run_id}"
    token = step.lease_token
    step.refresh_from_db()
    assert (step.status, step.lease_token) == ("waiting", token + 1)
    by = step.resolution["told"]["by"]
    assert step.resolution["output"] == {"decision": decision, "by": by, "data": {"amount": 3, "note": "none"}}
    assert step.resolution["branch"] == decision
    assert step.resolution["told"]["actor"].startswith("key:")
    step.run.refresh_from_db()
    assert (step.run.pokes, step.run.wake_at is not None) == (1, True)
    assert bell.driven == [step.run_id]


@pytest.mark.parametrize("first", ["approve", "reject"])
@pytest.mark.parametrize("second", ["approve", "reject", "complete", "override"])
def test_it_rejects_a_second_one(client, ask, first, second):
    step = ask()
    client.post(path(step, first)).expect(202)
    before = StepRun.objects.get(pk=step.pk).resolution

    body = {"complete": {"output": 1}, "override": {"output": 1, "reason": "x"}}.get(second)
    assert client.post(path(step, second), body).expect(409).code == "conflict"

    assert StepRun.objects.get(pk=step.pk).resolution == before


def test_the_same_call_again_is_answered_again(client, ask):
    step, headers = ask(), {"Idempotency-Key": "k"}
    first = client.post(path(step), headers=headers).expect(202)
    again = client.post(path(step), headers=headers).expect(202)
    assert again.headers["Idempotent-Replayed"] == "true"
    assert again.json == first.json


@pytest.mark.parametrize(
    ("body", "pointers"),
    [
        ({"data": {"amount": "3"}}, {"/data/amount": "type"}),
        ({"data": {}}, {"/data/amount": "required"}),
        ({}, {"/data/amount": "required"}),
        ({"data": {"amount": 1, "a/b": 1}}, {"/data/a~1b": "additional_properties"}),
        ({"data": 3}, {"/data": "type"}),
        ({"data": None}, {"/data": "type"}),
        ({"data": {"amount": 1}, "date": 1}, {"/date": "unknown_field"}),
    ],
)
def test_it_rejects_data_that_do_not_fit_the_form(client, ask, body, pointers):
    step = ask(form=FORM)
    assert client.post(path(step), body).expect(422).pointers == pointers
    assert StepRun.objects.get(pk=step.pk).resolution is None


def test_a_rejection_need_not_fill_in_the_form(client, ask):
    step = ask(form=FORM)
    assert client.post(path(step, "reject"), {"data": {"amount": "x"}}).expect(422).pointers == {"/data/amount": "type"}
    client.post(path(step, "reject")).expect(202)


def test_it_rejects_those_who_are_not_asked(ask, person, client):
    name, operator = person("operator")
    _, editor = person("editor")
    _, viewer = person("viewer")
    _, owner = person("owner")
    step, everybody = ask(assignees=[name, "editor"]), ask()

    for other in (owner, client):
        assert other.post(path(step)).expect(403).code == "permission_missing"
    viewer.post(path(everybody)).expect(403)
    client.post(path(everybody)).expect(202)
    operator.post(path(step)).expect(202)
    editor.post(path(step)).expect(409)


def test_four_eyes_are_not_the_starters(ask, person, client):
    _, starter = person("operator")
    _, other = person("operator")
    step, plain = ask(four_eyes=True, assignees=["operator"]), ask()
    actor = f"user:{starter.get('/v1/auth/me').expect(200).data['id']}"
    for each in (step, plain):
        Run.objects.filter(id=each.run_id).update(created_by=actor)

    assert (listed(starter), listed(other)) == ([str(plain.id)], [str(plain.id), str(step.id)])
    for action in ("approve", "reject"):
        assert "You started this run" in starter.post(path(step, action)).expect(403).json["detail"]
    assert StepRun.objects.get(pk=step.pk).resolution is None
    other.post(path(step)).expect(202)
    starter.post(path(plain)).expect(202)


def test_the_key_that_started_a_run_is_its_starter(ask, client, client_with):
    step = ask(four_eyes=True)
    workflow = step.run.workflow_id
    run = client.post(f"/v1/workflows/{workflow}:run", {}).expect(202).data["id"]
    started_by = Run.objects.get(id=run).created_by
    Run.objects.filter(id=step.run_id).update(created_by=started_by)
    client.post(path(step)).expect(403)
    client_with("runs:write").post(path(step)).expect(202)


def test_the_right_is_that_of_the_moment(ask, person):
    name, client = person("operator")
    step = ask(assignees=["operator"])
    Membership.objects.filter(user__username=name).update(role="editor")
    client.post(path(step)).expect(403)
    Membership.objects.filter(user__username=name).update(role="operator")
    client.post(path(step)).expect(202)


def test_a_key_with_a_persons_name_is_not_that_person(ask, project, person):
    name, _ = person("operator")
    _, key = factories.make_api_key(project=project, name=name)
    ApiClient({"X-API-KEY": key}).post(path(ask(assignees=[name]))).expect(403)


@pytest.mark.parametrize("action", ["approve", "reject"])
def test_it_rejects_what_cannot_be_decided(client, ask, end, action):
    waiting = ask(waits_for="time", node_id="pause")
    assert "not an approval" in client.post(path(waiting, action)).expect(409).json["detail"]
    late = ask(available_at=clock.now())
    client.post(path(late, action)).expect(409)
    ended = ask()
    end(ended.run)
    client.post(path(ended, action)).expect(409)
    cancelled = ask()
    client.post(f"/v1/runs/{cancelled.run_id}:cancel").expect(202)
    client.post(path(cancelled, action)).expect(409)
    unbegun = factories.make_run(workflow=ask().run.workflow)
    url = f"/v1/runs/{unbegun.id}/steps/{step_id(unbegun.id, 'review')}:{action}"
    assert "not ready" in client.post(url).expect(409).json["detail"]
    client.post(f"/v1/runs/{unbegun.id}/steps/{new_id()}:{action}").expect(404)
    client.get(path(ask(), action)).expect(405)
