"""Tokens that were not issued here, or for something else: each is a 401 (RFC 8725)."""

import base64
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import jwt
import pytest
import time_machine
from cryptography.hazmat.primitives.asymmetric import rsa
from django.conf import settings as django_settings

from flowforge.core import crypto
from flowforge.projects import tokens
from tests.support.api import ApiClient

ME = "/v1/auth/me"


@pytest.fixture
def access(person, log_in) -> str:
    return log_in(person)["access"]


@pytest.fixture
def good_claims(access) -> dict[str, Any]:
    return jwt.decode(access, options={"verify_signature": False})


def key() -> str:
    return crypto.derive(django_settings.SECRET_KEY, "jwt hs256").hex()


def part(value: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


def without(claims: dict[str, Any], name: str) -> dict[str, Any]:
    return {claim: value for claim, value in claims.items() if claim != name}


def past(claims: dict[str, Any]) -> dict[str, Any]:
    return {**claims, "exp": int((datetime.now(UTC) - timedelta(seconds=10)).timestamp())}


ATTACKS: dict[str, Callable[[dict[str, Any]], str]] = {
    "alg none": lambda claims: f"{part({'alg': 'none', 'typ': 'JWT'})}.{part(claims)}.",
    "alg None": lambda claims: f"{part({'alg': 'None', 'typ': 'JWT'})}.{part(claims)}.",
    "no alg": lambda claims: f"{part({'typ': 'JWT'})}.{part(claims)}.AAAA",
    "another algorithm, our key": lambda claims: jwt.encode(claims, key(), "HS512"),
    "RS256": lambda claims: jwt.encode(claims, rsa.generate_private_key(65537, 2048), "RS256"),
    "SECRET_KEY as key": lambda claims: jwt.encode(claims, django_settings.SECRET_KEY, "HS256"),
    "key of another purpose": lambda claims: jwt.encode(
        claims, crypto.derive(django_settings.SECRET_KEY, "idempotency").hex(), "HS256"
    ),
    "empty key by kid": lambda claims: jwt.encode(claims, "0" * 64, "HS256", headers={"kid": "../../../dev/null"}),
    "key by jku": lambda claims: jwt.encode(claims, "0" * 64, "HS256", headers={"jku": "http://127.0.0.1/k"}),
    "our key by jwk": lambda claims: jwt.encode(
        claims, "0" * 64, "HS256", headers={"jwk": {"kty": "oct", "k": part("0" * 64)}}
    ),
    "expired": lambda claims: jwt.encode(past(claims), key(), "HS256"),
    "no expiry": lambda claims: jwt.encode(without(claims, "exp"), key(), "HS256"),
    "not yet": lambda claims: jwt.encode({**claims, "nbf": claims["exp"]}, key(), "HS256"),
    "issued tomorrow": lambda claims: jwt.encode({**claims, "iat": claims["exp"] + 86_400}, key(), "HS256"),
    "another audience": lambda claims: jwt.encode({**claims, "aud": "other"}, key(), "HS256"),
    "no audience": lambda claims: jwt.encode(without(claims, "aud"), key(), "HS256"),
    "another issuer": lambda claims: jwt.encode({**claims, "iss": "other"}, key(), "HS256"),
    "no issuer": lambda claims: jwt.encode(without(claims, "iss"), key(), "HS256"),
    "no id": lambda claims: jwt.encode(without(claims, "jti"), key(), "HS256"),
    "another kind": lambda claims: jwt.encode({**claims, "typ": "refresh"}, key(), "HS256"),
    "no kind": lambda claims: jwt.encode(without(claims, "typ"), key(), "HS256"),
    "no family": lambda claims: jwt.encode(without(claims, "fam"), key(), "HS256"),
    "another person": lambda claims: jwt.encode({**claims, "sub": claims["fam"]}, key(), "HS256"),
    "not a person": lambda claims: jwt.encode({**claims, "sub": "admin"}, key(), "HS256"),
    "an older version": lambda claims: jwt.encode({**claims, "ver": claims["ver"] - 1}, key(), "HS256"),
    "a version as text": lambda claims: jwt.encode({**claims, "ver": str(claims["ver"])}, key(), "HS256"),
    "signature cut off": lambda claims: jwt.encode(claims, key(), "HS256").rpartition(".")[0] + ".",
    "deep header": lambda claims: f"eyJ{part(0)}{'W1tb' * 500}.{part(claims)}.AAAA",
    "deepest header": lambda claims: f"eyJhIjpb{'W1tb' * 400}.AAAA.AAAA",
    "header no object": lambda claims: f"{part([])}.{part(claims)}.AAAA",
    "too long": lambda claims: jwt.encode({**claims, "x": "x" * 2048}, key(), "HS256"),
}


def test_it_works(good_claims, bearing):
    bearing(jwt.encode(good_claims, key(), "HS256")).get(ME).expect(200)


@pytest.mark.parametrize("attack", ATTACKS)
def test_it_rejects(attack, good_claims, bearing):
    answer = bearing(ATTACKS[attack](good_claims)).get(ME).expect(401)
    assert answer.code == "invalid_credentials"
    assert answer.headers["WWW-Authenticate"].startswith("Bearer")
    assert set(answer.json) >= {"type", "title", "status", "detail", "instance", "code", "trace_id"}


def test_it_rejects_a_header_that_would_exhaust_the_parser():
    nested = base64.urlsafe_b64encode(b'{"a":' + b"[" * 1490).decode()
    with pytest.raises(tokens.InvalidCredentials):
        tokens.read_access(f"{nested}.e30.AAAA")


@pytest.mark.parametrize("position", [0, 1, 2])
def test_it_rejects_a_token_of_which_a_character_was_changed(access, bearing, position):
    parts = access.split(".")
    parts[position] = parts[position][:-3] + ("A" if parts[position][-3] != "A" else "B") + parts[position][-2:]
    bearing(".".join(parts)).get(ME).expect(401)


def test_it_rejects_a_refresh_token_as_credential_and_the_reverse(person, log_in, bearing):
    pair = log_in(person)
    bearing(pair["refresh"]).get(ME).expect(401)
    ApiClient().post("/v1/auth/token/refresh", {"refresh": pair["access"]}).expect(401)


def test_it_rejects_an_access_token_after_fifteen_minutes(access, bearing):
    with time_machine.travel(datetime.now(UTC) + timedelta(minutes=14, seconds=55), tick=False):
        bearing(access).get(ME).expect(200)
    with time_machine.travel(datetime.now(UTC) + timedelta(minutes=15, seconds=6), tick=False):
        bearing(access).get(ME).expect(401)


def test_it_rejects_a_token_whose_signing_key_was_taken_out_of_use(access, bearing, settings):
    old = settings.SECRET_KEY
    settings.SECRET_KEY, settings.SECRET_KEY_FALLBACKS = "the newest of all secret keys", [old]
    bearing(access).get(ME).expect(200)
    settings.SECRET_KEY_FALLBACKS = []
    bearing(access).get(ME).expect(401)
