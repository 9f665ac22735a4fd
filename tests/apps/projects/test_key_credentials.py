"""API keys as credentials: how they are sent, and when they end."""

from datetime import timedelta

import pytest

from flowforge.core import clock
from flowforge.projects import authentication, callers, key_format
from flowforge.projects.models import ApiKey, Membership, Project, User
from flowforge.projects.services import keys
from tests import factories
from tests.support.api import ApiClient

ME = "/v1/auth/me"


@pytest.fixture
def row_and_key(project):
    return keys.insert_key(project=project, name="robot", scopes=["runs:read"])


@pytest.fixture
def key(row_and_key) -> str:
    return row_and_key[1]


def test_it_works_in_either_header(key):
    for headers in (
        {"X-API-KEY": key},
        {"Authorization": f"Bearer {key}"},
        {"Authorization": f"bearer  {key} "},
        {"X-API-KEY": key, "Authorization": f"Bearer {key}"},
    ):
        assert ApiClient(headers).get(ME).expect(200).data["name"] == "robot"


def test_a_fresh_key_has_256_random_bits_and_a_checksum(key):
    assert key.startswith("ffk_")
    assert len(key) == 53
    assert key_format.is_plausible(key)
    assert key_format.generate() != key


@pytest.mark.parametrize(
    "headers",
    [
        {"X-API-KEY": ""},
        {"X-API-KEY": "garbage"},
        {"X-API-KEY": "ffk_"},
        {"X-API-KEY": "ffk_" + "A" * 49},
        {"X-API-KEY": "ffk_" + "A" * 300},
        {"X-API-KEY": "null, null"},
        {"X-API-KEY": "ffk_\u00ff\u00fe-not-utf-8-at-all"},
        {"Authorization": ""},
        {"Authorization": "Bearer"},
        {"Authorization": "Bearer "},
        {"Authorization": "Bearer nothing"},
        {"Authorization": "Bearer a.b.c"},
        {"Authorization": "Bearer eyJ.."},
        {"Authorization": "Basic YTpi"},
        {"Authorization": "{key}"},
        {"Authorization": "Token {key}"},
        {"Authorization": "Bearer {key},Bearer {key}"},
        {"Authorization": "Bearer {key} {key}"},
        {"X-API-KEY": "{key},{key}"},
        {"X-API-KEY": "{key}", "Authorization": "Bearer ffk_another-key-entirely"},
        {"X-API-KEY": "{key}", "Authorization": "Basic YTpi"},
        {"X-API-KEY": "{key}", "Authorization": ""},
        {"X-API-KEY": "", "Authorization": "Bearer {key}"},
    ],
    ids=str,
)
def test_it_rejects_what_is_not_one_good_credential(key, headers):
    answer = ApiClient({name: text.replace("{key}", key) for name, text in headers.items()}).get(ME).expect(401)
    assert answer.code == "invalid_credentials"
    assert answer.headers["WWW-Authenticate"].startswith("Bearer")


def test_it_rejects_two_good_credentials_that_differ(key, project, person, log_in):
    _, another = keys.insert_key(project=project, name="another", scopes=["runs:read"])
    for second in (another, log_in(person)["access"]):
        ApiClient({"X-API-KEY": key, "Authorization": f"Bearer {second}"}).get(ME).expect(401)


@pytest.mark.parametrize("name", ["api_key", "API_KEY", "access_token"])
def test_it_rejects_a_key_in_the_url(key, name):
    assert ApiClient().get(ME, **{name: key}).expect(400).code == "invalid_query"
    assert ApiClient({"X-API-KEY": key}).get(ME, **{name: key}).expect(400).code == "invalid_query"


def test_it_rejects_a_mistyped_key_without_a_query(key, django_assert_num_queries):
    wrong = key[:-1] + ("A" if key[-1] != "A" else "B")
    with django_assert_num_queries(0), pytest.raises(authentication.InvalidCredentials):
        authentication.caller_of(wrong)


def test_a_hot_caller_costs_no_query(key, django_assert_num_queries):
    authentication.caller_of(key)
    with django_assert_num_queries(0):
        authentication.caller_of(key)


# --- the end of a key ---------------------------------------------------------------------------------------------


def test_it_rejects_an_expired_key(row_and_key, frozen_clock):
    row, key = row_and_key
    ApiKey.objects.filter(pk=row.pk).update(expires_at=frozen_clock.now() + timedelta(seconds=10))
    client = ApiClient({"X-API-KEY": key})
    client.get(ME).expect(200)
    frozen_clock.advance(10)
    client.get(ME).expect(401)


def _revoke(row):
    keys.revoke_key(key=row)


def _archive(row):
    Project.objects.filter(pk=row.project_id).update(status="archived")


def _disable(row):
    row.created_by = factories.make_user(project=row.project, role="owner", is_active=False)
    row.save(update_fields=["created_by"])


@pytest.mark.parametrize("end", [_revoke, _archive, _disable])
def test_it_rejects_a_key_that_has_ended(row_and_key, end):
    row, key = row_and_key
    ApiClient({"X-API-KEY": key}).get(ME).expect(200)
    end(row)
    callers.forget_now()
    ApiClient({"X-API-KEY": key}).get(ME).expect(401)


def test_it_rejects_a_revoked_key_at_once_in_the_process_that_revoked_it(row_and_key):
    row, key = row_and_key
    ApiClient({"X-API-KEY": key}).get(ME).expect(200)
    keys.revoke_key(key=row)
    ApiClient({"X-API-KEY": key}).get(ME).expect(401)


def test_another_process_remembers_a_key_for_a_second_at_most(row_and_key, monkeypatch):
    row, key = row_and_key
    now = [100.0]
    monkeypatch.setattr(callers._keys, "_monotonic", lambda: now[0])
    authentication.caller_of(key)
    ApiKey.objects.filter(pk=row.pk).update(revoked_at=clock.now())  # elsewhere: nobody told this process
    now[0] += 0.99
    authentication.caller_of(key)
    now[0] += 0.02
    with pytest.raises(authentication.InvalidCredentials):
        authentication.caller_of(key)


def test_a_key_can_do_no_more_than_its_creator_still_can(project):
    creator = factories.make_user(project=project, role="owner")
    _, key = keys.insert_key(
        project=project, name="k", scopes=["runs:read", "workflows:write"], created_by_id=creator.pk
    )
    client = ApiClient({"X-API-KEY": key})

    def scopes() -> list[str]:
        callers.forget_now()
        return client.get(ME).expect(200).data["projects"][0]["scopes"]

    assert scopes() == ["workflows:write", "runs:read"]
    Membership.objects.filter(user=creator).update(role="viewer")
    assert scopes() == ["runs:read"]
    Membership.objects.filter(user=creator).delete()
    assert scopes() == []
    User.objects.filter(pk=creator.pk).delete()
    callers.forget_now()
    client.get(ME).expect(401)


def test_an_admin_key_shrinks_to_the_role_of_its_creator():
    everything, viewer = frozenset(["admin"]), frozenset(["runs:read"])
    assert callers.bounded(everything, viewer) == viewer
    assert callers.bounded(viewer, everything) == viewer
    assert callers.bounded(frozenset(["runs:read", "runs:write"]), viewer) == viewer


# --- last_used_at -------------------------------------------------------------------------------------------------


def test_the_last_use_is_noted_once_a_minute(row_and_key, frozen_clock, monkeypatch):
    row, key = row_and_key
    now = [100.0]
    monkeypatch.setattr(callers._uses, "_monotonic", lambda: now[0])

    def used_after(seconds: float) -> object:
        now[0] += seconds
        frozen_clock.advance(seconds)
        authentication.caller_of(key)
        row.refresh_from_db()
        return row.last_used_at

    first = used_after(0)
    assert first == frozen_clock.now()
    assert used_after(59) == first
    assert used_after(1) == frozen_clock.now()


def test_two_processes_note_a_use_once(row_and_key, frozen_clock):
    row, _ = row_and_key
    callers._note_use(str(row.pk), frozen_clock.now())
    frozen_clock.advance(30)
    callers._note_use(str(row.pk), frozen_clock.now())
    row.refresh_from_db()
    assert row.last_used_at == frozen_clock.now() - timedelta(seconds=30)


@pytest.mark.parametrize("chosen", ["sixteen letters!", "ffk_demo_key_of_mine", "schlüssel-für-alle", "a,b;c d" * 4])
def test_a_key_that_an_operator_chose_works(project, chosen):
    keys.insert_key(project=project, name="chosen", scopes=["runs:read"], text=chosen)
    on_the_wire = chosen.encode().decode("latin-1")  # how servers hand over header bytes
    ApiClient({"X-API-KEY": on_the_wire}).get(ME).expect(200)
    ApiClient({"Authorization": f"Bearer {on_the_wire}"}).get(ME).expect(200)
