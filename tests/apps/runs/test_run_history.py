"""GET /v1/runs/{id}/steps, /steps/{step_id}/logs and /events"""

import pytest

from flowforge.core import clock
from flowforge.core.ids import new_id, step_id
from runs.models import RunEvent
from tests import factories

pytestmark = pytest.mark.django_db

START = clock.datetime(2026, 1, 1, 12, 0, 0, tzinfo=clock.UTC)
WIDE = {
    "nodes": [{"id": f"n{number}", "type": "transform", "config": {"values": {}}} for number in range(5)],
    "edges": [],
}


@pytest.fixture
def run(project):
    workflow = factories.make_workflow(project=project, definition=WIDE)
    return factories.make_run(workflow=workflow, steps_total=5)


@pytest.fixture
def step(run):
    return factories.make_step(run=run, node_id="n3", status="running")


def steps_path(run):
    return f"/v1/runs/{run.id}/steps"


def logs_path(step):
    return f"/v1/runs/{step.run_id}/steps/{step.id}/logs"


def events_path(run):
    return f"/v1/runs/{run.id}/events"


# --- steps --------------------------------------------------------------------------------------------------------


def test_it_works(client, run, step, log_lines):
    log_lines(step, 1)

    answer = client.get(steps_path(run)).expect(200)

    assert answer.data == client.get(f"/v1/runs/{run.id}").data["steps"]
    assert [row["node_id"] for row in answer.data] == ["n0", "n1", "n2", "n3", "n4"]
    assert [line["message"] for line in answer.data[3]["logs"]] == ["line 1"]
    assert answer.meta == {"cursor": None, "has_more": False}


@pytest.mark.parametrize("path", [steps_path, events_path])
def test_it_rejects_those_who_may_not(run, path, client_with, client_as, stranger, anonymous):
    client_as("viewer").get(path(run)).expect(200)
    client_with("workflows:read").get(path(run)).expect(403)
    stranger.get(path(run)).expect(404)
    anonymous.get(path(run)).expect(401)


def test_steps_are_paged_in_the_definitions_order(client, run, step):
    seen, cursor = [], None
    for _ in range(3):
        page = client.get(steps_path(run), limit=2, **({"cursor": cursor} if cursor else {})).expect(200)
        seen += [(row["node_id"], row["status"]) for row in page.data]
        cursor = page.meta["cursor"]

    assert cursor is None
    assert seen == [(f"n{number}", "running" if number == 3 else "pending") for number in range(5)]


def test_it_rejects_a_foreign_cursor(client, run, chain):
    cursor = client.get(steps_path(run), limit=2).meta["cursor"]
    other = factories.make_run(workflow=chain)

    client.get(steps_path(other), limit=2, cursor=cursor).expect(400)
    client.get(steps_path(run), limit=2, cursor=cursor[:-2] + "AA").expect(400)
    client.get(steps_path(run), limit=0).expect(400)


def test_a_page_of_steps_takes_three_queries(client, run, step, own_queries):
    client.get(steps_path(run))

    with own_queries:
        client.get(steps_path(run)).expect(200)

    assert len(own_queries.statements) == 3


# --- logs ---------------------------------------------------------------------------------------------------------


def test_logs_are_paged_oldest_first(client, step, log_lines):
    other = factories.make_step(run=step.run, node_id="n0", status="running")
    log_lines(other, 1)
    log_lines(step, 5, at=START)

    seen, cursor = [], None
    for _ in range(3):
        page = client.get(logs_path(step), limit=2, **({"cursor": cursor} if cursor else {})).expect(200)
        seen += page.data
        cursor = page.meta["cursor"]

    assert cursor is None
    assert [line["message"] for line in seen] == [f"line {number}" for number in range(1, 6)]
    assert seen[0] == {"at": "2026-01-01T12:00:00.000000Z", "level": "info", "message": "line 1"}


def test_a_step_that_has_not_begun_has_no_lines(client, run):
    assert client.get(f"{steps_path(run)}/{step_id(run.id, 'n0')}/logs").expect(200).data == []


def test_it_rejects_a_step_of_another_run(client, run, chain, stranger, step):
    other = factories.make_step(run=factories.make_run(workflow=chain), node_id="load")

    client.get(f"{steps_path(run)}/{other.id}/logs").expect(404)
    client.get(f"{steps_path(run)}/{new_id()}/logs").expect(404)
    stranger.get(logs_path(step)).expect(404)


# --- events -------------------------------------------------------------------------------------------------------


def test_events_come_in_order(client, run, step):
    RunEvent.objects.create(run=run, seq=2, at=START, event="step.started", step_id=step.id, data={"attempt": 1})
    RunEvent.objects.create(run=run, seq=1, at=START, event="run.created", data={"status": "pending"})

    answer = client.get(events_path(run)).expect(200)

    assert answer.meta == {"cursor": None, "has_more": False}
    assert answer.data == [
        {
            "seq": 1,
            "at": "2026-01-01T12:00:00.000000Z",
            "event": "run.created",
            "run_id": str(run.id),
            "data": {"status": "pending"},
        },
        {
            "seq": 2,
            "at": "2026-01-01T12:00:00.000000Z",
            "event": "step.started",
            "run_id": str(run.id),
            "step_id": str(step.id),
            "data": {"attempt": 1},
        },
    ]


def test_events_go_on_after_a_seq(client, run, step, log_lines):
    log_lines(step, 250)

    first = client.get(events_path(run))
    rest = client.get(events_path(run), after=100, limit=1000)
    end = client.get(events_path(run), after=250)

    assert [row["seq"] for row in first.data] == list(range(1, 101))
    assert [row["seq"] for row in rest.data] == list(range(101, 251))
    assert (end.data, end.meta) == ([], {"cursor": None, "has_more": False})
    assert client.get(events_path(run), limit=250).meta["has_more"] is False


def test_events_are_paged_by_cursor_too(client, run, step, log_lines):
    log_lines(step, 250)

    first = client.get(events_path(run), after=10)
    rest = client.get(events_path(run), after=10, cursor=first.meta["cursor"])

    assert first.meta["has_more"] is True
    assert [row["seq"] for row in rest.data] == list(range(111, 211))
    client.get(events_path(run), after=11, cursor=first.meta["cursor"]).expect(400)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("after", "-1"),
        ("after", "x"),
        ("after", ""),
        ("after", "1.5"),
        ("after", "٣"),
        ("after", str(2**31)),
        ("after", "9" * 30),
        ("limit", "0"),
        ("limit", "1001"),
        ("since", "1"),
    ],
)
def test_it_rejects_a_place_that_cannot_be_meant(client, run, name, value):
    assert client.get(events_path(run), **{name: value}).expect(400).code == "invalid_query"


def test_history_takes_two_queries(client, step, log_lines, own_queries):
    log_lines(step, 50)
    client.get(events_path(step.run))

    with own_queries:
        client.get(events_path(step.run)).expect(200)

    assert len(own_queries.statements) == 2
