"""The demonstration: a client of the HTTP API like any other."""

import pytest

from flowforge.cli.demo import DEMO_SLUG, DemoFailed, run_demo
from flowforge.cli.embedded import Access
from tests.support.http_stub import HttpStub

WORKFLOW = {"id": "w-1", "name": DEMO_SLUG, "description": "Reads, checks, loads."}
STEP = {
    "node_id": "load",
    "type": "python",
    "status": "completed",
    "duration_ms": 12,
    "logs": [{"message": f"line {number}"} for number in range(5)],
}


def access(stub: HttpStub) -> Access:
    return Access(url=stub.url, admin_user="admin", admin_password="-", api_key="the key", project_id="-")


def reply_with_run(stub: HttpStub, **fields: object) -> None:
    run = {"id": "r-1", "status": "completed", "outputs": {"rows": 3}, "error": None, "steps": [STEP], **fields}
    stub.reply(json={"data": run})
    stub.reply(json={"data": run})


def test_it_works(stub: HttpStub, capsys: pytest.CaptureFixture[str]) -> None:
    stub.reply(json={"data": [WORKFLOW]})
    reply_with_run(stub)
    run_demo(access(stub))
    found, started, _ = stub.asked
    assert found.headers["x-api-key"] == "the key"
    assert (started.method, started.path) == ("POST", "/v1/workflows/w-1:run")
    printed = capsys.readouterr().out
    assert "The run is completed" in printed
    assert '"rows": 3' in printed
    assert "line 2" in printed
    assert "line 1" not in printed  # the newest three


def test_it_takes_the_workflow_of_exactly_that_name(stub: HttpStub) -> None:
    stub.reply(json={"data": [{**WORKFLOW, "id": "w-2", "name": f"{DEMO_SLUG} (copy)"}, WORKFLOW]})
    reply_with_run(stub)
    run_demo(access(stub))
    assert stub.asked[1].path == "/v1/workflows/w-1:run"


def test_it_rejects_a_run_that_does_not_complete(stub: HttpStub) -> None:
    stub.reply(json={"data": [WORKFLOW]})
    reply_with_run(stub, status="failed", error={"code": "step_failed"})
    with pytest.raises(DemoFailed, match=r"ended as failed.*step_failed"):
        run_demo(access(stub))


def test_it_rejects_a_project_without_the_workflow(stub: HttpStub) -> None:
    stub.reply(json={"data": []})
    with pytest.raises(DemoFailed, match="no active workflow"):
        run_demo(access(stub))


def test_it_rejects_a_refusal(stub: HttpStub) -> None:
    stub.reply(401, json={"code": "not_authenticated"})
    with pytest.raises(DemoFailed, match=r"401.*not_authenticated"):
        run_demo(access(stub))
