"""Credentials in steps: opened for those that name them, sent to their hosts alone, masked wherever they stand."""

import logging
from collections.abc import Iterator
from datetime import timedelta
from typing import Any
from urllib.parse import quote

import pytest

from flowforge.core import clock
from flowforge.credentials.models import Credential
from flowforge.engine.execution import step_settings
from flowforge.steps.oauth2 import tokens
from runs.models import Run, RunEvent
from tests import factories
from tests.engine.conftest import Flow, chain, step
from tests.support import canaries
from tests.support.http_stub import HttpStub
from workflows.services.definitions import check

CANARY = "canary/3f9+secret word"

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _targets(settings: Any) -> Iterator[None]:
    settings.ALLOW_PRIVATE_TARGETS = ["*"]
    step_settings.cache_clear()
    tokens.clear()
    yield
    step_settings.cache_clear()


@pytest.fixture
def secret(project: Any) -> Credential:
    return factories.make_credential(project=project, name="api", data={"token": CANARY})


def transform(node_id: str, **values: Any) -> dict[str, Any]:
    return {"id": node_id, "type": "transform", "config": {"values": values}}


def http(**config: Any) -> dict[str, Any]:
    return {"id": "call", "type": "http", "config": config}


def error_of(run: Run, node_id: str = "call") -> str:
    return step(run, node_id).error["code"]


def test_it_works(flow: Any, secret: Credential, stub: HttpStub) -> None:
    run = flow(chain(http(url=stub.url, credential="api"))).run()
    assert run.status == "completed"
    assert stub.asked[0].headers["authorization"] == f"Bearer {CANARY}"
    secret.refresh_from_db()
    assert secret.last_used_at is not None


def test_a_canary_is_stored_nowhere(
    flow: Any, secret: Credential, stub: HttpStub, client: Any, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    stub.reply(json={"echo": [f"before {CANARY} after", quote(CANARY, safe="")], CANARY: 1}, headers={"X-Echo": "x"})
    stub.reply(500, text=f"no: {CANARY.encode().hex()}")
    values = {"plain": "{{ credentials.api.token }}", "coded": "{{ credentials.api.token }}{{ credentials.api.token }}"}
    key = "{{ credentials.api.token }}"
    failing = {**http(url=stub.url, query={"key": key}), "id": "failing", "on_error": "continue"}
    made: Flow = flow(
        chain(
            transform("pure", **values),
            http(url=stub.url, headers={"X-Key": key}, json={"a": key}),
            failing,
            {"id": "tell", "type": "emit", "config": {"event": "x.y", "payload": {"k": key}}},
            {"id": "raising", "type": "effect", "config": {"log": [key], "raises": f"no: {key}"}},
        ),
        output={"all": "{{ steps.pure.output }}", "echo": "{{ steps.call.output.json }}"},
    )
    run = made.run()
    assert step(run, "pure").output == {"plain": "***", "coded": "******"}
    assert step(run, "call").inputs["headers"] == {"X-Key": "***"}
    assert step(run, "call").output["json"]["echo"] == ["before *** after", "***"]
    assert stub.asked[0].headers["x-key"] == CANARY
    text = canaries.stored() + caplog.text + client.get(f"/v1/runs/{run.pk}").body.decode()
    text += client.get(f"/v1/runs/{run.pk}/events").body.decode()
    assert canaries.found(CANARY, text) == []
    assert step(run, "raising").error["message"] == "RuntimeError: no: ***"
    assert "no: ***" in caplog.text


def test_it_is_read_by_those_alone_that_name_it(flow: Any, secret: Credential, query_counter: Any) -> None:
    with query_counter() as queries:
        flow(chain(transform("a", x="{{ 1 }}"))).run()
    assert not any("credentials_credential" in query["sql"] for query in queries)


def test_a_secret_split_over_two_writes_of_a_process_is_masked(flow: Any, secret: Credential, project: Any) -> None:
    type(project).objects.filter(pk=project.pk).update(settings={"allowed_step_types": ["python"]})
    code = (
        "import sys\ndef main(key):\n    half = len(key) // 2\n    print('x' * 8180, end='')\n"
        "    for part in (key[:half], key[half:]):\n        print(part, end='', flush=True)\n    print()\n"
        "    print('y' * 70000 + key + 'z' * (65536 - 8))\n    return key\n"
    )
    node = {"id": "call", "type": "python", "config": {"code": code, "inputs": {"key": "{{ credentials.api.token }}"}}}
    run = flow(chain(node)).run()
    assert (run.status, step(run, "call").output) == ("completed", "***")
    logged = "\n".join(str(event.data) for event in RunEvent.objects.filter(run_id=run.pk))
    assert "***" in logged
    assert "canary" not in logged


# --- where it may go ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "config",
    [
        {"credential": "api"},
        {"headers": {"X-Key": "{{ credentials.api.token }}"}},
        {"query": {"key": "{{ credentials.api.token }}"}},
        {"method": "POST", "json": {"key": "{{ credentials.api.token }}"}},
    ],
)
def test_it_rejects_other_hosts(flow: Any, secret: Credential, stub: HttpStub, config: dict[str, Any]) -> None:
    Credential.objects.update(hosts=["api.example.com", "*.example.org"])
    run = flow(chain(http(url="{{ inputs.url }}", **config))).run(url=stub.url)
    assert (run.status, error_of(run)) == ("failed", "credential_host")
    assert stub.asked == []


def test_it_rejects_a_redirect_to_another_host(flow: Any, secret: Credential, stub: HttpStub) -> None:
    port = stub.url.rpartition(":")[2]
    Credential.objects.update(hosts=[f"127.0.0.1:{port}"])
    stub.reply(302, headers={"Location": f"http://localhost:{port}/"})
    run = flow(chain(http(url=stub.url, headers={"X-Mine": "{{ credentials.api.token }}"}))).run()
    assert error_of(run) == "credential_host"
    assert len(stub.asked) == 1


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"name": "renamed"}, "credential_unknown"),
        ({"expires_at": clock.now() - timedelta(seconds=1)}, "credential_expired"),
        ({"data_ciphertext": b"\x01broken"}, "credential_unreadable"),
        ({"type": "aws"}, "credential_type"),
    ],
)
def test_it_rejects_what_cannot_be_used(
    flow: Any, secret: Credential, stub: HttpStub, change: dict[str, Any], code: str
) -> None:
    Credential.objects.update(**change)
    run = flow(chain(http(url=stub.url, credential="api"))).run()
    assert error_of(run) == code
    assert stub.asked == []


def test_it_rejects_another_projects_at_run(flow: Any, other_project: Any, stub: HttpStub) -> None:
    factories.make_credential(project=other_project, name="api")
    assert error_of(flow(chain(http(url=stub.url, credential="api"))).run()) == "credential_unknown"


@pytest.mark.parametrize(
    ("kind", "data", "header", "value"),
    [
        ("basic", {"username": "ann", "password": "opensesame"}, "authorization", "Basic YW5uOm9wZW5zZXNhbWU="),
        ("header", {"name": "X-Api-Key", "value": "opensesame"}, "x-api-key", "opensesame"),
    ],
)
def test_each_type_is_sent_its_way(
    flow: Any, project: Any, stub: HttpStub, kind: str, data: dict[str, Any], header: str, value: str
) -> None:
    factories.make_credential(project=project, name="api", type=kind, data=data)
    stub.reply(text=f"you sent {value}")
    run = flow(chain(http(url=stub.url, credential="api"))).run()
    assert stub.asked[0].headers[header] == value
    assert "***" in step(run, "call").output["text"]


def test_a_token_is_fetched_once_and_masked(flow: Any, project: Any, stub: HttpStub) -> None:
    data = {"client_id": "us", "client_secret": "opensesame", "token_url": f"{stub.url}/token", "scope": "read"}
    factories.make_credential(project=project, name="api", type="oauth2_client", data=data)
    stub.reply(json={"access_token": "granted-token-1", "expires_in": 3600})
    stub.reply(text="hello granted-token-1")
    made = flow(chain(http(url=stub.url, credential="api")))
    first, _ = made.run(), made.run()
    assert [asked.path for asked in stub.asked].count("/token") == 1
    assert stub.asked[0].body == b"grant_type=client_credentials&scope=read"
    assert [asked.headers["authorization"] for asked in stub.asked[1:]] == ["Bearer granted-token-1"] * 2
    assert step(first, "call").output["text"] == "hello ***"


# --- at save ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("node", "pointer", "code"),
    [
        (http(url="https://a.example/", credential="none"), "/nodes/0/config/credential", "unknown_credential"),
        (http(url="https://a.example/", credential="foreign"), "/nodes/0/config/credential", "unknown_credential"),
        (
            http(url="https://a.example/", credential="{{ inputs.x }}"),
            "/nodes/0/config/credential",
            "computed_credential",
        ),
        (http(url="https://b.example/x", credential="bound"), "/nodes/0/config/credential", "credential_host"),
        (
            http(url="https://b.example/", headers={"X": "{{ credentials.bound.token }}"}),
            "/nodes/0/config/headers/X",
            "credential_host",
        ),
        (transform("a", x="{{ credentials.none.token }}"), "/nodes/0/config/values/x", "unknown_credential"),
        (transform("a", x="{{ credentials[inputs.x] }}"), "/nodes/0/config/values/x", "computed_credential"),
        ({**transform("a"), "when": "{{ credentials.bound.token }}"}, "/nodes/0/when", "unknown_name"),
    ],
)
def test_it_rejects_a_definition(
    project: Any, other_project: Any, node: dict[str, Any], pointer: str, code: str
) -> None:
    factories.make_credential(project=project, name="bound", hosts=["a.example"])
    factories.make_credential(project=other_project, name="foreign")
    found = check({"nodes": [node], "edges": []}, project)
    assert [(fault.pointer, fault.code) for fault in found.errors] == [(pointer, code)]


@pytest.mark.parametrize("place", ["output", "edge"])
def test_it_rejects_credentials_outside_of_steps(project: Any, secret: Credential, place: str) -> None:
    document: dict[str, Any] = chain(transform("a"), transform("b"))
    expression = "{{ credentials.api.token }}"
    if place == "output":
        document["output"] = {"x": expression}
    else:
        document["edges"][0]["when"] = expression
    (fault,) = check(document, project).errors
    assert (fault.code, fault.pointer) == ("unknown_name", "/output/x" if place == "output" else "/edges/0/when")
