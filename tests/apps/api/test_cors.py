"""CORS: closed unless origins are named."""

import pytest
from django.conf import settings as django_settings
from django.test import override_settings

ORIGIN = "https://app.example"
ASKED = {"Origin": ORIGIN, "Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "idempotency-key"}


@pytest.fixture
def opened():
    middleware = [*django_settings.MIDDLEWARE]
    if "corsheaders.middleware.CorsMiddleware" not in middleware:
        middleware.insert(2, "corsheaders.middleware.CorsMiddleware")
    with override_settings(MIDDLEWARE=middleware, CORS_ALLOWED_ORIGINS=[ORIGIN]):
        yield


def test_it_works(opened, caller, nobody):
    preflight = nobody.request("OPTIONS", "/v1/things", headers=ASKED).expect(200)
    assert preflight.headers["Access-Control-Allow-Origin"] == ORIGIN
    assert "idempotency-key" in preflight.headers["Access-Control-Allow-Headers"]
    answer = caller("").get("/v1/things/me", headers={"Origin": ORIGIN}).expect(200)
    assert answer.headers["Access-Control-Allow-Origin"] == ORIGIN
    assert "X-RateLimit-Remaining" in answer.headers["Access-Control-Expose-Headers"]


def test_browsers_may_read_every_refusal(opened, nobody, settings):
    settings.RATE_LIMITS = {**settings.RATE_LIMITS, "general": "3/m"}
    sent = {"Origin": ORIGIN}
    answers = [
        nobody.get("/v1/nothing", headers=sent).expect(404),
        nobody.get("/v1/things", headers=sent).expect(401),
        nobody.request("PUT", "/v1/things", headers=sent).expect(405),
        nobody.get("/v1/nothing", headers=sent).expect(429),
        nobody.get("/v1/things", headers=sent).expect(429),
    ]
    assert {answer.headers["Access-Control-Allow-Origin"] for answer in answers} == {ORIGIN}
    assert all("origin" in answer.headers["Vary"] for answer in answers)


def test_it_rejects_other_origins(opened, caller):
    answer = caller("").get("/v1/things/me", headers={"Origin": "https://evil.example"}).expect(200)
    assert "Access-Control-Allow-Origin" not in answer.headers


def test_it_rejects_every_origin_by_default(nobody):
    answer = nobody.request("OPTIONS", "/v1/things", headers=ASKED).expect(204)
    assert "Access-Control-Allow-Origin" not in answer.headers
