"""POST /v1/auth/token, its refresh and its revocation."""

from datetime import UTC, datetime, timedelta

import pytest
import time_machine
from django.contrib.auth.hashers import PBKDF2PasswordHasher

from flowforge.core.ids import new_id
from flowforge.projects import callers, tokens
from flowforge.projects.models import TokenFamily, User
from flowforge.projects.services import people
from tests import factories
from tests.support.api import ApiClient

REFRESH = "/v1/auth/token/refresh"
REVOKE = "/v1/auth/token/revoke"


def test_it_works(person, bearing):
    login = {"username": person.username, "password": factories.PASSWORD}
    answer = ApiClient().post("/v1/auth/token", login).expect(200)
    assert set(answer.data) == {"access", "refresh"}
    assert answer.headers["Cache-Control"] == "no-store"
    assert bearing(answer.data["access"]).get("/v1/auth/me").expect(200).data["username"] == person.username
    person.refresh_from_db()
    assert person.last_login is not None


@pytest.mark.parametrize("case", ["unknown name", "wrong password", "disabled", "unusable password"])
def test_it_rejects_all_wrong_logins_alike(person, case):
    login = {"username": person.username, "password": factories.PASSWORD}
    if case == "unknown name":
        login["username"] = "nobody"
    elif case == "wrong password":
        login["password"] = "something else"
    elif case == "disabled":
        User.objects.filter(pk=person.pk).update(is_active=False)
    else:
        User.objects.filter(pk=person.pk).update(password="!")
    answer = ApiClient().post("/v1/auth/token", login).expect(401)
    assert (answer.code, answer.json["detail"]) == ("invalid_credentials", "The username or the password is wrong.")
    assert answer.headers["WWW-Authenticate"].startswith("Bearer")
    assert not TokenFamily.objects.exists()


@pytest.mark.parametrize("known", [True, False])
def test_a_login_hashes_once_whoever_is_named(person, known, monkeypatch, settings):
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.PBKDF2PasswordHasher"]
    person.set_password(factories.PASSWORD)
    person.save()
    hashed, encode = [], PBKDF2PasswordHasher.encode
    monkeypatch.setattr(PBKDF2PasswordHasher, "encode", lambda *args: hashed.append(1) or encode(*args))
    login = {"username": person.username if known else "nobody", "password": "wrong"}
    ApiClient().post("/v1/auth/token", login).expect(401)
    assert len(hashed) == 1


def test_it_rejects_a_body_that_is_not_a_login(db):
    answer = ApiClient().post("/v1/auth/token", {"username": "a", "pasword": "b"}).expect(422)
    assert answer.pointers == {"/pasword": "unknown_field", "/password": "required"}


def test_logins_have_a_rate_bucket_of_their_own(db, settings):
    settings.RATE_LIMITS = {**settings.RATE_LIMITS, "login": "2/m"}
    login = {"username": "nobody", "password": "x"}
    statuses = [ApiClient().post("/v1/auth/token", login).status for _ in range(3)]
    assert statuses == [401, 401, 429]


def test_a_login_goes_on_after_its_password_was_hashed_anew(person, log_in, bearing, settings):
    settings.PASSWORD_HASHERS = [
        "django.contrib.auth.hashers.PBKDF2PasswordHasher",
        "django.contrib.auth.hashers.MD5PasswordHasher",
    ]
    bearing(log_in(person)["access"]).get("/v1/auth/me").expect(200)
    person.refresh_from_db()
    assert person.password.startswith("pbkdf2_sha256$")


# --- refresh ------------------------------------------------------------------------------------------------------


def test_a_refresh_gives_a_new_pair(person, log_in, bearing):
    first = log_in(person)
    second = ApiClient().post(REFRESH, {"refresh": first["refresh"]}).expect(200).data
    assert set(second) == {"access", "refresh"}
    assert second["refresh"] != first["refresh"]
    bearing(second["access"]).get("/v1/auth/me").expect(200)
    ApiClient().post(REFRESH, {"refresh": second["refresh"]}).expect(200)


def test_it_rejects_a_refresh_token_used_twice_and_ends_its_family(person, log_in, bearing):
    first = log_in(person)
    second = ApiClient().post(REFRESH, {"refresh": first["refresh"]}).expect(200).data
    answer = ApiClient().post(REFRESH, {"refresh": first["refresh"]}).expect(401)
    assert answer.code == "invalid_credentials"
    ApiClient().post(REFRESH, {"refresh": second["refresh"]}).expect(401)
    bearing(second["access"]).get("/v1/auth/me").expect(401)


def test_the_end_of_one_login_leaves_another_alone(person, log_in, bearing):
    lost, kept = log_in(person), log_in(person)
    ApiClient().post(REVOKE, {"refresh": lost["refresh"]}).expect(204)
    bearing(lost["access"]).get("/v1/auth/me").expect(401)
    bearing(kept["access"]).get("/v1/auth/me").expect(200)
    ApiClient().post(REFRESH, {"refresh": kept["refresh"]}).expect(200)


@pytest.mark.parametrize("change", ["disabled", "new password", "tokens ended", "deleted"])
def test_it_rejects_a_refresh_of_who_may_not_come_in_any_more(person, log_in, bearing, change):
    pair = log_in(person)
    if change == "disabled":
        User.objects.filter(pk=person.pk).update(is_active=False)
    elif change == "new password":
        people.set_password(user=person, password="another long password")
    elif change == "tokens ended":
        people.end_all_tokens(user=person)
    else:
        person.delete()
    callers.forget()
    ApiClient().post(REFRESH, {"refresh": pair["refresh"]}).expect(401)
    bearing(pair["access"]).get("/v1/auth/me").expect(401)


def test_it_rejects_a_refresh_token_after_seven_days(person, log_in):
    pair = log_in(person)
    with time_machine.travel(datetime.now(UTC) + timedelta(days=7, seconds=6), tick=False):
        ApiClient().post(REFRESH, {"refresh": pair["refresh"]}).expect(401)


def test_a_password_set_through_the_model_ends_tokens_too(person, log_in, bearing):
    pair = log_in(person)
    person.set_password("another long password")
    person.save()
    callers.forget()
    bearing(pair["access"]).get("/v1/auth/me").expect(401)


# --- revoke -------------------------------------------------------------------------------------------------------


def test_logging_out_ends_refresh_and_access_tokens(person, log_in, bearing):
    pair = log_in(person)
    bearing(pair["access"]).get("/v1/auth/me").expect(200)
    assert ApiClient().post(REVOKE, {"refresh": pair["refresh"]}).expect(204).body == b""
    bearing(pair["access"]).get("/v1/auth/me").expect(401)
    ApiClient().post(REFRESH, {"refresh": pair["refresh"]}).expect(401)
    ApiClient().post(REVOKE, {"refresh": pair["refresh"]}).expect(204)


def test_it_rejects_to_log_out_with_garbage_or_an_access_token(person, log_in):
    ApiClient().post(REVOKE, {"refresh": "garbage"}).expect(401)
    ApiClient().post(REVOKE, {"refresh": log_in(person)["access"]}).expect(401)
    assert ApiClient().post(REVOKE, {}).expect(422).pointers == {"/refresh": "required"}


def test_headers_do_not_matter_where_the_body_is_the_credential(person, log_in, bearing):
    pair = log_in(person)
    bearing("garbage").post(REFRESH, {"refresh": pair["refresh"]}).expect(200)


def test_old_logins_are_cleaned_away_a_batch_at_a_time(person, frozen_clock):
    for days in (1, 2, 3, 30):
        moment = frozen_clock.now() - people.KEPT_AFTER_EXPIRY * days if days < 30 else frozen_clock.advance(1)
        TokenFamily.objects.create(id=new_id(), user=person, refresh_jti="x", expires_at=moment)
    frozen_clock.advance(60)
    assert people.purge_families(now=frozen_clock.now(UTC), limit=2) == 2
    assert people.purge_families(now=frozen_clock.now(UTC), limit=2) == 1
    assert TokenFamily.objects.count() == 1


def test_no_token_is_at_rest(person, log_in):
    pair = log_in(person)
    family = TokenFamily.objects.get()
    stored = repr([getattr(family, field.attname) for field in TokenFamily._meta.fields])
    assert pair["refresh"] not in stored
    assert tokens.read_refresh(pair["refresh"]).jti == family.refresh_jti
