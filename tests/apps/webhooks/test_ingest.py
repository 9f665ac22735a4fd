"""Calls of other systems: who may, what they start, what is kept of them."""

import hmac
import json
from datetime import timedelta

import pytest

from flowforge.core import clock
from flowforge.operating.services import freeze
from runs.models import Run
from runs.services import backlog
from tests import factories
from tests.apps.webhooks.conftest import SECRET, generic_headers, make_webhook, standard_headers
from webhooks.models import Call, Webhook
from webhooks.services import inbound
from workflows.models import Workflow

pytestmark = pytest.mark.django_db


def key_of(project, *scopes):
    return {"X-API-KEY": factories.make_api_key(project=project, scopes=scopes)[1]}


def test_it_works(webhook, post):
    answer = post(webhook, {"order": 7}).expect(202)

    run = Run.objects.get()
    assert answer.data == {"delivery_id": str(Call.objects.get().pk), "run_id": str(run.pk)}
    assert answer.headers["Location"] == f"/v1/runs/{run.pk}"
    assert (run.inputs, run.trigger_type, run.trigger_id) == ({"order": 7}, "webhook", str(webhook.pk))
    assert run.created_by == f"webhook:{webhook.pk}"
    call = Call.objects.get()
    assert (call.decision, call.run_id, call.verified_by) == ("fired", run.pk, "hmac")
    assert bytes(call.body) == b'{"order": 7}'
    webhook.refresh_from_db()
    assert webhook.last_received_at is not None


def test_an_api_key_of_the_project_will_do(webhook, post, project):
    post(webhook, {"a": 1}, headers=key_of(project, "runs:write")).expect(202)
    assert Call.objects.get().verified_by.startswith("key:")
    key = key_of(project, "runs:write")["X-API-KEY"]
    post(webhook, {"a": 2}, headers={"Authorization": f"Bearer {key}"}).expect(202)


def test_it_rejects_keys_that_are_not_good_for_it(webhook, post, project, other_project):
    assert post(webhook, headers=key_of(other_project, "admin")).expect(401)
    assert post(webhook, headers={"X-API-KEY": "ffk_" + "x" * 43}).expect(401)
    assert (
        post(webhook, headers=key_of(project, "runs:read", "webhooks:write")).expect(403).code == "permission_missing"
    )
    assert not Run.objects.exists()


def test_it_rejects_a_login(webhook, post, client_as):
    headers = client_as("owner").headers
    assert post(webhook, headers=headers).expect(401).code == "not_authenticated"


def test_it_rejects_who_shows_nothing(webhook, post):
    assert post(webhook, headers={}).expect(401).code == "not_authenticated"
    assert Call.objects.get().reason == "not_authenticated"


def test_a_wrong_signature_is_not_mended_by_a_good_key(webhook, post, project):
    headers = {**standard_headers(b"other"), **key_of(project, "runs:write")}
    post(webhook, {"a": 1}, headers=headers).expect(401)
    headers = {**standard_headers(b'{"a": 1}'), "X-API-KEY": "ffk_" + "x" * 43}
    post(webhook, {"a": 1}, headers=headers).expect(401)


@pytest.mark.parametrize(("auth", "signed", "keyed"), [("hmac", 202, 401), ("api_key", 401, 202), ("both", 202, 202)])
def test_auth_says_what_is_taken(workflow, post, project, auth, signed, keyed):
    webhook = make_webhook(workflow, auth=auth)
    post(webhook, {"a": 1}).expect(signed)
    post(webhook, {"a": 2}, headers=key_of(project, "runs:write")).expect(keyed)


@pytest.mark.parametrize("change", [{"secret": "whsec_" + "A" * 32}, {"at": 0}])
def test_it_rejects_a_wrong_secret_and_an_old_timestamp(webhook, post, change):
    assert post(webhook, **change).expect(401).code == "invalid_credentials"
    call = Call.objects.get()
    assert (call.decision, call.body, call.signed_id) == ("rejected", None, None)
    assert call.reason in ("invalid_signature", "stale_timestamp")
    assert not Run.objects.exists()


def test_it_rejects_what_was_written_anew(webhook, post):
    """The signature is over the bytes, not over what they mean."""
    headers = standard_headers(json.dumps({"a": 1}, separators=(",", ":")).encode())
    post(webhook, {"a": 1}, headers=headers).expect(401)


def test_without_a_secret_nothing_is_right(webhook, post):
    Webhook.objects.update(secret_ciphertext=None)
    post(webhook).expect(401)


def test_it_rejects_unknown_disabled_and_archived_ones_alike(webhook, post, project):
    unknown = Webhook(pk=factories.unknown_id())
    told = [post(unknown).expect(404)]
    Webhook.objects.update(enabled=False)
    told.append(post(webhook).expect(404))
    Webhook.objects.update(enabled=True)
    type(project).objects.update(status="archived")
    told.append(post(webhook).expect(404))
    assert {answer.code for answer in told} == {"not_found"}
    assert not Call.objects.exists()


def test_both_secrets_hold_while_one_is_rotated(webhook, post, frozen_clock):
    _, fresh = inbound.rotate_secret(webhook=webhook, overlap=timedelta(hours=1))
    post(webhook, message_id="1", secret=fresh).expect(202)
    post(webhook, message_id="2").expect(202)
    frozen_clock.advance(3601)
    post(webhook, message_id="3", secret=fresh).expect(202)
    post(webhook, message_id="4").expect(401)


# --- repeats ------------------------------------------------------------------------------------------------------


def test_a_signed_id_is_taken_once(webhook, post):
    first = post(webhook, {"a": 1}).expect(202)
    again = post(webhook, {"a": 1}).expect(200)
    assert again.data == first.data
    assert again.headers["Idempotent-Replayed"] == "true"
    assert "Idempotent-Replayed" not in first.headers
    assert Run.objects.count() == 1
    assert sorted(Call.objects.values_list("decision", flat=True)) == ["coalesced", "fired"]
    post(webhook, {"a": 1}, message_id="msg_2").expect(202)


def test_a_repeat_is_answered_though_the_workflow_is_paused_by_now(webhook, post):
    first = post(webhook).expect(202)
    Workflow.objects.update(status="paused")
    assert post(webhook).expect(200).data == first.data


def test_a_call_that_was_refused_may_come_again(webhook, post):
    Workflow.objects.update(status="paused")
    assert post(webhook, {"a": 1}).expect(409).code == "conflict"
    call = Call.objects.get()
    assert (call.decision, call.reason, bytes(call.body)) == ("rejected", "conflict", b'{"a": 1}')
    Workflow.objects.update(status="active")
    post(webhook, {"a": 1}).expect(202)


def test_a_repeated_body_is_a_repeat_for_five_minutes(workflow, post, frozen_clock):
    webhook = make_webhook(workflow, signature_scheme="generic")
    body = b'{"a": 1}'
    first = post(webhook, body, headers=generic_headers(body)).expect(202)
    frozen_clock.advance(299)
    assert post(webhook, body, headers=generic_headers(body)).expect(200).data == first.data
    frozen_clock.advance(2)
    assert post(webhook, body, headers=generic_headers(body)).expect(202).data != first.data
    assert Run.objects.count() == 2


def test_an_idempotency_key_counts_where_an_api_key_calls(webhook, post, project):
    headers = {**key_of(project, "runs:write"), "Idempotency-Key": "k"}
    first = post(webhook, {"a": 1}, headers=headers).expect(202)
    assert post(webhook, {"a": 1}, headers=headers).expect(200).data == first.data
    assert post(webhook, {"a": 2}, headers=headers).expect(422).code == "idempotency_key_reused"


@pytest.mark.parametrize(
    ("scheme", "headers", "body", "same"),
    [
        ("github", {"X-GitHub-Delivery": "d1"}, b"{}", True),
        ("stripe", {}, b'{"id": "evt_1"}', True),
        ("slack", {}, b'{"event_id": "Ev1"}', True),
    ],
)
def test_each_scheme_has_its_own_id(workflow, post, frozen_clock, scheme, headers, body, same):
    webhook = make_webhook(workflow, signature_scheme=scheme)
    first = post(webhook, body, headers={**headers, **signed(scheme, body)}).expect(202)
    frozen_clock.advance(400)
    again = post(webhook, body, headers={**headers, **signed(scheme, body)}).expect(200)
    assert (again.data == first.data) is same
    assert Call.objects.get(decision="fired").signed_id.startswith("id:")


def signed(scheme, body):

    at = int(clock.now().timestamp())

    def digest(content):
        return hmac.new(SECRET.encode(), content, "sha256").hexdigest()

    return {
        "github": {"X-Hub-Signature-256": "sha256=" + digest(body)},
        "stripe": {"Stripe-Signature": f"t={at},v1={digest(f'{at}.'.encode() + body)}"},
        "slack": {
            "X-Slack-Request-Timestamp": str(at),
            "X-Slack-Signature": "v0=" + digest(f"v0:{at}:".encode() + body),
        },
    }[scheme]


def test_slack_hears_its_challenge(workflow, post):
    webhook = make_webhook(workflow, signature_scheme="slack")
    body = b'{"type": "url_verification", "challenge": "3eZb"}'
    answer = post(webhook, body, headers=signed("slack", body)).expect(200)
    assert answer.json == {"challenge": "3eZb"}
    assert not Run.objects.exists()


@pytest.mark.parametrize("what", ["flowforge.operating.selectors.engine_paused", "runs.services.backlog._has_too_many"])
def test_maintenance_and_a_backlog_keep_what_was_sent(webhook, post, monkeypatch, what):
    monkeypatch.setattr(what, lambda: True)
    assert int(post(webhook, {"a": 1}).expect(503).headers["Retry-After"]) > 0
    call = Call.objects.get()
    assert (call.decision, call.reason, bytes(call.body)) == ("rejected", "unavailable", b'{"a": 1}')
    monkeypatch.undo()
    backlog.forget()
    post(webhook, {"a": 1}).expect(202)


def test_a_freeze_keeps_the_call_and_its_run(webhook, post):
    freeze(scope="workflow", scope_id=webhook.workflow_id, reason="a fire", by="test")
    run_id = post(webhook, {"a": 1}).expect(202).data["run_id"]
    call = Call.objects.get()
    assert (call.decision, call.reason, str(call.run_id)) == ("fired", "", run_id)
    assert Run.objects.get().status == "pending"


# --- rules --------------------------------------------------------------------------------------------------------


def test_a_filter_that_says_no_starts_nothing(workflow, post):
    webhook = make_webhook(workflow, event_filter="event == 'order.paid' and payload.total > 10")
    assert post(webhook, {"type": "order.paid", "total": 3}).expect(200).data["run_id"] is None
    assert Call.objects.get().decision == "skipped"
    post(webhook, {"type": "order.paid", "total": 30}, message_id="2").expect(202)
    assert post(webhook, {"type": "order.paid", "total": 3}).expect(200).headers["Idempotent-Replayed"] == "true"


def test_a_filter_on_what_is_not_there_says_no(workflow, post):
    """GitHub's first call, `ping`, has no `ref`."""
    webhook = make_webhook(workflow, event_filter="payload.ref == 'main'")
    assert post(webhook, {"zen": "Keep it logically awesome."}).expect(200).data["run_id"] is None
    assert Call.objects.get().reason == "undefined"


def test_it_rejects_a_call_that_its_filter_cannot_read(workflow, post):
    webhook = make_webhook(workflow, event_filter="payload.n / 0 > 1")
    assert post(webhook, {"n": 1}).expect(422).pointers == {"/event_filter": "expression_error"}


def test_a_mapping_makes_the_inputs(workflow, post):
    mapping = {
        "order": "{{ payload.id }}",
        "from": "{{ headers['x-shop'] }}",
        "page": "{{ query.page }}",
        "what": "{{ event }}",
        "fixed": [1, "{{ payload.items | length }}"],
    }
    webhook = make_webhook(workflow, input_mapping=mapping)
    body = json.dumps({"id": 7, "items": [1, 2], "event": "order.paid"}).encode()
    headers = {**standard_headers(body), "X-Shop": "berlin"}
    post(webhook, body, headers=headers, query={"page": "2"}).expect(202)
    assert Run.objects.get().inputs == {
        "order": 7,
        "from": "berlin",
        "page": "2",
        "what": "order.paid",
        "fixed": [1, 2],
    }


def test_a_payload_is_never_a_template(workflow, post):
    webhook = make_webhook(workflow, input_mapping={"text": "{{ payload.text }}"})
    post(webhook, {"text": "{{ payload.__class__ }}"}).expect(202)
    assert Run.objects.get().inputs == {"text": "{{ payload.__class__ }}"}


def test_dedupe_makes_one_run_of_several_calls(workflow, post):
    webhook = make_webhook(workflow, dedupe="payload.order")
    first = post(webhook, {"order": 7, "n": 1}, message_id="1").expect(202)
    second = post(webhook, {"order": 7, "n": 2}, message_id="2").expect(200)
    assert second.data["run_id"] == first.data["run_id"]
    assert second.headers["Idempotent-Replayed"] == "true"
    post(webhook, {"order": 8}, message_id="3").expect(202)
    assert Run.objects.count() == 2


@pytest.mark.parametrize(
    ("kind", "body", "inputs"),
    [
        ("json", b'{"a": [1]}', {"a": [1]}),
        ("application/vnd.x+json; charset=utf-8", b'{"a": 1}', {"a": 1}),
        ("json", b"[1, 2]", {"payload": [1, 2]}),
        ("form", b"a=1&b=x+y&b=%C3%A9&c=", {"a": "1", "b": ["x y", "\u00e9"], "c": ""}),
        ("text", "gr\u00fc\u00dfe".encode(), {"payload": "gr\u00fc\u00dfe"}),
        ("application/xml", b"<a/>", {"payload": "<a/>"}),
    ],
)
def test_json_forms_and_texts_are_read(webhook, post, kind, body, inputs):
    post(webhook, body, kind=kind).expect(202)
    assert Run.objects.get().inputs == inputs


@pytest.mark.parametrize(
    ("kind", "body", "status"),
    [
        ("json", b"{", 400),
        ("json", b'{"a": 1, "a": 2}', 400),
        ("json", b'{"a": "\\u0000"}', 400),
        ("json", b"\xff", 400),
        ("form", b"a=%ff", 400),
        ("form", b"a=%00", 400),
        ("text", b"\xff", 400),
        ("text", b"a\x00b", 400),
        ("multipart/form-data; boundary=x", b"--x--", 415),
        ("application/octet-stream", b"x", 415),
    ],
)
def test_it_rejects_bodies_that_cannot_be_read(webhook, post, kind, body, status):
    post(webhook, body, kind=kind).expect(status)
    assert Call.objects.get().decision == "rejected"
    assert not Run.objects.exists()


def test_it_rejects_a_body_over_the_limit_before_anything_else(webhook, post):
    assert post(webhook, b"x" * (1024 * 1024 + 1), headers={}).expect(413).code == "body_too_large"


def test_inputs_that_do_not_fit_are_told_and_kept(project, post):
    schema = {"type": "object", "required": ["day"], "properties": {"day": {"type": "string"}}}
    workflow = factories.make_workflow(project=project, definition={**factories.DEFINITION, "input_schema": schema})
    webhook = make_webhook(workflow)
    assert post(webhook, {"other": 1}).expect(422).pointers
    call = Call.objects.get()
    assert (call.decision, call.reason, bytes(call.body)) == ("rejected", "invalid", b'{"other": 1}')
    assert "day" in call.detail


def test_expressions_that_fail_are_told_by_their_place(workflow, post):
    webhook = make_webhook(workflow, input_mapping={"x": "{{ payload.a / 0 }}"})
    assert list(post(webhook, {"a": 1}).expect(422).pointers) == ["/input_mapping"]
    webhook = make_webhook(workflow, input_mapping="{{ payload.a }}")
    assert post(webhook, {"a": 1}).expect(422).pointers == {"/input_mapping": "not_an_object"}


# --- what is kept -------------------------------------------------------------------------------------------------


def test_no_secret_is_kept(webhook, post, project):
    key = key_of(project, "runs:write")["X-API-KEY"]
    body = b'{"a": 1}'
    headers = {**standard_headers(body), "X-API-KEY": key, "Cookie": "session=canary", "X-Token": "canary"}
    post(webhook, body, headers=headers, query={"token": "canary"}).expect(202)
    call = Call.objects.get()
    kept = json.dumps([call.headers, call.query, call.detail])
    assert "canary" not in kept
    assert key not in kept
    assert headers["webhook-signature"] not in kept


def test_rejections_are_bounded(webhook, post, monkeypatch):
    monkeypatch.setattr("webhooks.constants.REJECTIONS_NOTED", "3/m")
    for _ in range(5):
        post(webhook, secret="whsec_" + "A" * 32).expect(401)
    assert Call.objects.count() == 3


def test_runs_are_counted_on_the_project(webhook, post, project):
    project.settings = {"rate_limits": {"runs": "2/m"}}
    project.save()
    post(webhook, message_id="1").expect(202)
    post(webhook, message_id="2").expect(202)
    answer = post(webhook, message_id="3").expect(429)
    assert int(answer.headers["Retry-After"]) > 0
    assert Call.objects.filter(reason="rate_limited").count() == 1


def test_a_call_costs_a_bounded_number_of_statements(webhook, post, own_queries):
    post(webhook, message_id="warm").expect(202)
    with own_queries:
        post(webhook, message_id="measured").expect(202)
    assert len(own_queries.statements) <= 9, own_queries.statements


def test_an_id_whose_time_is_limited_costs_no_statement_more(workflow, post, own_queries):
    webhook = make_webhook(workflow, signature_scheme="generic")
    post(webhook, b"warm", headers=generic_headers(b"warm"), kind="text").expect(202)
    with own_queries:
        post(webhook, b"measured", headers=generic_headers(b"measured"), kind="text").expect(202)
    assert not [sql for sql in own_queries.statements if sql.startswith("UPDATE")], own_queries.statements
    looked = [sql for sql in own_queries.statements if sql.startswith("SELECT") and "webhooks_call" in sql]
    assert len(looked) == 1
    assert '"headers"' not in looked[0], "columns that nobody asks for"


def test_an_old_secret_key_still_opens(webhook, post, settings):
    settings.SECRET_KEYS = ["a new one", *settings.SECRET_KEYS]
    post(webhook).expect(202)
