"""What calls other servers: health checks, links, language models."""

import json

import pytest

from runs.models import Run
from tests.engine.conftest import statuses, step
from tests.engine.gallery.conftest import Gallery
from tests.support.api import ApiClient
from tests.support.http_stub import HttpStub
from tests.support.llm_server import LlmServer
from workflows.services.gallery import item

pytestmark = pytest.mark.django_db


def test_it_works(gallery: Gallery, stub: HttpStub) -> None:
    """A service that answers at the third attempt is up."""
    stub.reply(503)
    stub.reply(502)
    run = gallery.play("service-watch", url=f"{stub.url}/readyz")
    assert run.status == "completed", run.error
    assert run.outputs == {"url": f"{stub.url}/readyz", "up": True, "status": 200, "reason": None}
    assert (step(run, "probe").attempt, gallery.told()) == (3, [])


def test_a_service_that_is_down(gallery: Gallery, stub: HttpStub) -> None:
    for _ in range(3):
        stub.reply(503)
    run = gallery.play("service-watch", url=stub.url)
    assert run.status == "completed", run.error
    assert (run.outputs["up"], run.outputs["status"], run.outputs["reason"]) == (False, 503, "http_status")
    [(name, payload)] = gallery.told()
    assert (name, payload["url"], payload["code"]) == ("service.down", stub.url, "http_status")


def test_a_service_that_may_not_be_called(gallery: Gallery) -> None:
    """What the installation refuses is said at once, without another attempt."""
    run = gallery.play("service-watch", url="http://10.0.0.1/")
    assert (run.status, run.outputs["reason"], step(run, "probe").attempt) == ("completed", "target_refused", 1)


def test_broken_links(gallery: Gallery, stub: HttpStub) -> None:
    stub.reply(404)
    urls = [f"{stub.url}/a", f"{stub.url}/b", "http://10.0.0.1/"]
    run = gallery.play("link-check", urls=urls)
    assert run.status == "completed", run.error
    assert run.outputs["checked"] == 3
    assert sorted(link["reason"] for link in run.outputs["broken"]) == ["status 404", "target_refused"]
    assert gallery.told() == [("links.broken", {"links": run.outputs["broken"]})]


def test_links_that_are_well_are_not_asked_again(gallery: Gallery, stub: HttpStub) -> None:
    first = gallery.play("link-check", urls=[f"{stub.url}/a"])
    again = gallery.play("link-check", urls=[f"{stub.url}/a"])
    assert first.outputs == again.outputs == {"checked": 1, "broken": []}
    assert statuses(again)["fine"] == "completed"
    assert [(asked.method, asked.path) for asked in stub.asked] == [("HEAD", "/a")]


def answer(kind: str, confidence: float) -> str:
    return json.dumps({"kind": kind, "confidence": confidence, "summary": "Someone wants money."})


def test_a_document_that_the_model_is_sure_of(gallery: Gallery, llm_server: LlmServer) -> None:
    llm_server.says(answer("invoice", 0.97))
    run = gallery.play("document-triage", base_url=llm_server.url, model="m")
    assert run.status == "completed", run.error
    assert {name: run.outputs[name] for name in ("kind", "by", "confidence")} == {
        "kind": "invoice",
        "by": "model",
        "confidence": 0.97,
    }
    assert "Invoice 2026-117" in llm_server.asked[0].said
    assert gallery.told() == [("document.sorted", {"kind": "invoice", "summary": "Someone wants money."})]


def test_a_document_that_a_person_has_to_sort(gallery: Gallery, llm_server: LlmServer) -> None:
    llm_server.says('{"kind": "invoice", "confidence": 3}')  # does not fit the schema: the model is told once
    llm_server.says(answer("invoice", 0.4))
    run = gallery.play("document-triage", base_url=llm_server.url, model="m")
    assert run.status == "waiting", run.error
    run = gallery.decide(run, "review", "approved", kind="complaint")
    assert run.status == "completed", run.error
    assert (run.outputs["kind"], run.outputs["by"], len(llm_server.asked)) == ("complaint", "ada", 2)


def test_a_document_that_nobody_sorts(gallery: Gallery, llm_server: LlmServer) -> None:
    llm_server.says(answer("other", 0.1))
    run = gallery.too_late(gallery.play("document-triage", base_url=llm_server.url, model="m"))
    assert (run.status, run.outputs["kind"], run.outputs["by"]) == ("completed", "unsorted", None)


def test_a_service_that_is_down_opens_an_incident(gallery: Gallery, client: ApiClient) -> None:
    """By the event trigger that incident-escalation proposes."""
    workflow = gallery.installed["incident-escalation"]
    trigger = item("incident-escalation").triggers["event"]
    client.post("/v1/event-triggers", {"workflow_id": str(workflow.pk), **trigger}).expect(201)
    gallery.play("service-watch", url="http://10.0.0.1/")
    incident = Run.objects.get(workflow=workflow)
    assert incident.inputs["incident"] == "http://10.0.0.1/"
    assert incident.status == "waiting"
    gallery.play("service-watch", url="http://10.0.0.1/")
    assert Run.objects.filter(workflow=workflow).count() == 1
