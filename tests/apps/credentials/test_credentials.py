"""`/v1/credentials`: kept sealed, never shown, checked by type."""

from datetime import timedelta
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connection

from flowforge.core import clock
from flowforge.core.crypto import Unsealable
from flowforge.credentials.models import Credential
from flowforge.credentials.services.expiry import run_once
from flowforge.credentials.services.sealing import unseal
from flowforge.events.models import Event
from tests import factories

CANARY = "canary-3f9ß-secret"
TOKEN = {"name": "orders_api", "type": "token", "data": {"token": "canary-3f9-secret"}, "hosts": ["API.example.com"]}


def test_it_works(client, project):
    made = client.post("/v1/credentials", TOKEN).expect(201)
    assert made.headers["Location"] == f"/v1/credentials/{made.data['id']}"
    assert made.data == {
        "id": made.data["id"],
        "project_id": str(project.pk),
        "name": "orders_api",
        "type": "token",
        "hosts": ["api.example.com"],
        "expires_at": None,
        "last_used_at": None,
        "created_at": made.data["created_at"],
        "updated_at": made.data["updated_at"],
    }
    read = client.get(made.headers["Location"]).expect(200)
    assert read.data == made.data
    assert read.headers["ETag"] == made.headers["ETag"]
    assert client.get("/v1/credentials").expect(200).data == [made.data]
    assert unseal(Credential.objects.get()) == TOKEN["data"]


def test_what_it_holds_is_nowhere_to_be_read(client):
    made = client.post("/v1/credentials", TOKEN, headers={"Idempotency-Key": "k"}).expect(201)
    again = client.post("/v1/credentials", TOKEN, headers={"Idempotency-Key": "k"}).expect(201)
    assert again.headers["Idempotent-Replayed"] == "true"
    path = f"/v1/credentials/{made.data['id']}"
    answers = [made, again, client.get(path), client.get("/v1/credentials"), client.patch(path, {"hosts": []})]
    assert all(b"canary" not in answer.body for answer in answers)
    with connection.cursor() as cursor:
        for table in connection.introspection.table_names():
            cursor.execute(f'SELECT * FROM "{table}"')
            assert all(
                b"canary" not in bytes(cell) if isinstance(cell, (bytes, memoryview)) else "canary" not in str(cell)
                for row in cursor.fetchall()
                for cell in row
            ), table


@pytest.mark.parametrize(
    ("change", "faults"),
    [
        ({"data": {}}, {"/data/token": "required"}),
        ({"data": {"token": ""}}, {"/data/token": "invalid"}),
        ({"data": {"token": 7}}, {"/data/token": "invalid"}),
        ({"data": {"token": "a\r\nX-Other: b"}}, {"/data/token": "invalid"}),
        ({"data": {"token": "x" * 16_385}}, {"/data/token": "max_length"}),
        ({"data": {"token": "abcdef", "password": "abcdef"}}, {"/data/password": "unknown_field"}),
        ({"data": "abcdef"}, {"/data": "invalid"}),
        ({"data": None}, {"/data": "null"}),
        ({"type": "password"}, {"/type": "invalid_choice"}),
        ({"type": "basic", "data": {"username": "u"}}, {"/data/password": "required"}),
        ({"type": "header", "data": {"name": "Host", "value": "x"}}, {"/data/name": "invalid"}),
        ({"type": "header", "data": {"name": "X y", "value": "x"}}, {"/data/name": "invalid"}),
        (
            {"type": "oauth2_client", "data": {"client_id": "a", "client_secret": "b", "token_url": "ftp://x"}},
            {"/data/token_url": "invalid_url"},
        ),
        ({"type": "aws", "data": {"access_key_id": "a"}}, {"/data/secret_access_key": "required"}),
        ({"type": "database", "data": {"port": "5432", "password": "x"}}, {"/data/port": "invalid"}),
        ({"type": "database", "data": {"host": "x"}}, {"/data": "required"}),
        ({"hosts": ["https://example.com"]}, {"/hosts/0": "invalid"}),
        ({"name": "a b"}, {"/name": "invalid"}),
        ({"name": "9a"}, {"/name": "invalid"}),
        ({"secret": "x"}, {"/secret": "unknown_field"}),
    ],
)
def test_it_rejects_a_bad_body(client, change: dict[str, Any], faults: dict[str, str]):
    answer = client.post("/v1/credentials", {**TOKEN, **change}).expect(422)
    assert answer.pointers == faults
    assert not Credential.objects.exists()


def test_it_rejects_a_name_that_is_taken(client, project):
    client.post("/v1/credentials", TOKEN).expect(201)
    assert client.post("/v1/credentials", TOKEN).expect(409).code == "conflict"
    other = client.post("/v1/credentials", {**TOKEN, "name": "another"}).expect(201)
    assert client.patch(f"/v1/credentials/{other.data['id']}", {"name": "orders_api"}).expect(409)
    assert Credential.objects.filter(project=project).count() == 2


def test_a_secret_is_rotated_by_its_data(client, project):
    row = factories.make_credential(project=project, hosts=["api.example.com"])
    path = f"/v1/credentials/{row.pk}"
    tag = client.get(path).headers["ETag"]
    client.patch(path, {"data": {"token": "the next one"}}, headers={"If-Match": '"stale"'}).expect(412)
    client.patch(path, {"data": {"token": "the next one"}}, headers={"If-Match": tag}).expect(200)
    row.refresh_from_db()
    assert (unseal(row), row.hosts) == ({"token": "the next one"}, ["api.example.com"])
    assert client.patch(path, {"type": "basic"}).expect(422).pointers == {"/data": "required"}
    client.delete(path).expect(204)
    client.get(path).expect(404)


def test_a_list_costs_the_same_however_long(client, project, query_counter):
    factories.make_credential(project=project)
    client.get("/v1/credentials").expect(200)
    with query_counter() as few:
        client.get("/v1/credentials").expect(200)
    for _ in range(5):
        factories.make_credential(project=project)
    with query_counter() as many:
        client.get("/v1/credentials").expect(200)
    assert len(few) == len(many)


def test_a_sealed_value_opens_in_its_own_row_alone(project):
    one, other = factories.make_credential(project=project), factories.make_credential(project=project)
    other.data_ciphertext = one.data_ciphertext
    with pytest.raises(Unsealable):
        unseal(other)


# --- expiry -------------------------------------------------------------------------------------------------------


def expired_events() -> list[dict[str, Any]]:
    return list(Event.objects.filter(name="credential.expired").values_list("payload", flat=True))


def test_its_expiry_is_told_once(project, client, frozen_clock):
    row = factories.make_credential(project=project, expires_at=clock.now() + timedelta(seconds=10))
    assert run_once(clock.now()) == 0
    frozen_clock.advance(10)
    assert [run_once(clock.now()) for _ in range(3)] == [1, 0, 0]
    (told,) = expired_events()
    assert (told["credential_id"], told["name"]) == (str(row.pk), row.name)
    later = clock.isoformat(clock.now() + timedelta(seconds=10))
    client.patch(f"/v1/credentials/{row.pk}", {"expires_at": later}).expect(200)
    frozen_clock.advance(11)
    assert [run_once(clock.now()) for _ in range(2)] == [1, 0]
    assert len(expired_events()) == 2


# --- keys ---------------------------------------------------------------------------------------------------------


def test_everything_is_sealed_anew_with_the_newest_key(project, settings, capsys):
    row = factories.make_credential(project=project, data={"token": CANARY})
    old = bytes(row.data_ciphertext)
    settings.SECRET_KEYS = ["a newer key", *settings.SECRET_KEYS]
    call_command("rotate_secrets")
    assert "credentials.credential.data_ciphertext: 1 sealed anew, 0 were" in capsys.readouterr().out
    settings.SECRET_KEYS = ["a newer key"]
    row.refresh_from_db()
    assert bytes(row.data_ciphertext) != old
    assert unseal(row) == {"token": CANARY}
    call_command("rotate_secrets")
    assert "0 sealed anew, 1 were" in capsys.readouterr().out


def test_it_rejects_to_forget_what_no_key_opens(project, settings):
    row = factories.make_credential(project=project)
    settings.SECRET_KEYS = ["quite another key"]
    with pytest.raises(Exception, match="could not be opened"):
        call_command("rotate_secrets")
    assert bytes(Credential.objects.get().data_ciphertext) == bytes(row.data_ciphertext)
