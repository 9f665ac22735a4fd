"""Signatures by the providers' own published examples, and all that must not pass for one."""

import base64
import hmac
from datetime import UTC, datetime, timedelta

import pytest
from standardwebhooks.webhooks import Webhook as Oracle

from webhooks import secrets
from webhooks.signatures import SignatureRefused, Signed, is_present, signature_of, verify


def at(seconds: int) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


# standardwebhooks.com, test suite of the reference libraries
STANDARD = {
    "secret": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
    "headers": {
        "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
        "webhook-timestamp": "1614265330",
        "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    },
    "body": b'{"test": 2432232314}',
    "now": 1614265330,
}
# docs.github.com, "Validating webhook deliveries"
GITHUB = {
    "secret": "It's a Secret to Everybody",
    "headers": {
        "x-hub-signature-256": "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17",
    },
    "body": b"Hello, World!",
    "now": 0,
}
# api.slack.com, "Verifying requests from Slack"
SLACK = {
    "secret": "8f742231b10e8888abcd99yyyzzz85a5",
    "headers": {
        "x-slack-request-timestamp": "1531420618",
        "x-slack-signature": "v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503",
    },
    "body": (
        b"token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow&channel_id=G8PSS9T3V"
        b"&channel_name=foobar&user_id=U2CERLKJA&user_name=roadrunner&command=%2Fwebhook-collect&text="
        b"&response_url=https%3A%2F%2Fhooks.slack.com%2Fcommands%2FT1DC2JH3J%2F397700885554%2F96rGlfmibIGlgcZRskXaIFfN"
        b"&trigger_id=398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c"
    ),
    "now": 1531420618,
}
_STRIPE_BODY = b'{"id": "evt_1", "object": "event"}'
_STRIPE_V1 = hmac.new(b"whsec_test_secret", b"1492774577." + _STRIPE_BODY, "sha256").hexdigest()
# docs.stripe.com publishes the header's form, with a v0 that has to be passed over, but no secret to it
STRIPE = {
    "secret": "whsec_test_secret",
    "headers": {
        "stripe-signature": f"t=1492774577,v1={_STRIPE_V1},"
        "v0=6ffbb59b2300aae63f272406069a9788598b792a944a07aba816edb039989a39"
    },
    "body": _STRIPE_BODY,
    "now": 1492774577,
}
GENERIC = {
    "secret": "a shared secret",
    "headers": {"x-signature": "sha256=" + hmac.new(b"a shared secret", b"anything", "sha256").hexdigest()},
    "body": b"anything",
    "now": 0,
}
VECTORS = {"standard": STANDARD, "github": GITHUB, "slack": SLACK, "stripe": STRIPE, "generic": GENERIC}
TIMED = ("standard", "slack", "stripe")
NONSENSE = ("nonsense", "v1,", "v1,=", "sha256=", "v0=", "t=,v1=", "t=1,t=2,v1=aa", "\xff", "v1,\xe9", "v0=\xe9")


def check_taken(scheme, **changes):
    given = {**VECTORS[scheme], **changes}
    signed = Signed(headers=given["headers"], body=given["body"], header="X-Signature")
    wanted = given.get("secrets", [given["secret"]])
    verify(scheme, signed, wanted, at(given["now"]))


def check_refused(scheme, **changes) -> str:
    with pytest.raises(SignatureRefused) as caught:
        check_taken(scheme, **changes)
    return caught.value.reason


@pytest.mark.parametrize("scheme", VECTORS)
def test_it_works(scheme):
    check_taken(scheme)
    assert is_present(scheme, Signed(headers=VECTORS[scheme]["headers"], body=b"", header="X-Signature"))


@pytest.mark.parametrize("scheme", VECTORS)
def test_it_rejects_a_body_with_any_byte_flipped(scheme):
    body = VECTORS[scheme]["body"]
    for place in range(len(body)):
        flipped = bytearray(body)
        flipped[place] ^= 1
        assert check_refused(scheme, body=bytes(flipped)) == "invalid_signature"


@pytest.mark.parametrize("scheme", VECTORS)
@pytest.mark.parametrize("secrets_given", [[], [""], ["whsec_"], ["another secret of somebody"]])
def test_it_rejects_every_other_secret_and_none(scheme, secrets_given):
    assert check_refused(scheme, secrets=secrets_given) == "invalid_signature"


@pytest.mark.parametrize("scheme", VECTORS)
def test_any_of_several_secrets_will_do(scheme):
    other = secrets.generate()
    check_taken(scheme, secrets=[other, VECTORS[scheme]["secret"]])
    check_taken(scheme, secrets=[VECTORS[scheme]["secret"], other])


@pytest.mark.parametrize("scheme", TIMED)
@pytest.mark.parametrize(
    ("off", "good"), [(299, True), (300, True), (301, False), (-299, True), (-300, True), (-301, False)]
)
def test_the_timestamp_may_be_five_minutes_off(scheme, off, good):
    now = VECTORS[scheme]["now"] + off
    if good:
        check_taken(scheme, now=now)
    else:
        assert check_refused(scheme, now=now) == "stale_timestamp"


@pytest.mark.parametrize("scheme", VECTORS)
def test_it_rejects_missing_and_empty_headers(scheme):
    for name in VECTORS[scheme]["headers"]:
        without = {other: text for other, text in VECTORS[scheme]["headers"].items() if other != name}
        assert check_refused(scheme, headers=without) == "missing_signature"
        assert check_refused(scheme, headers={**without, name: "  "}) == "missing_signature"


@pytest.mark.parametrize("scheme", VECTORS)
@pytest.mark.parametrize(
    "text", ["nonsense", "v1,", "v1,=", "sha256=", "v0=", "t=,v1=", "t=1,t=2,v1=aa", "\xff", "v1,é", "v0=é"]
)
def test_it_rejects_signatures_that_are_none(scheme, text):
    name = next(name for name in VECTORS[scheme]["headers"] if "signature" in name)
    check_refused(scheme, headers={**VECTORS[scheme]["headers"], name: text})


@pytest.mark.parametrize("scheme", VECTORS)
def test_it_rejects_a_signature_header_sent_twice(scheme):
    """Servers join them with a comma; of two that differ nobody can say which is meant."""
    name = next(name for name in VECTORS[scheme]["headers"] if "signature" in name)
    good = VECTORS[scheme]["headers"][name]
    check_refused(scheme, headers={**VECTORS[scheme]["headers"], name: f"{good},{good}"})


@pytest.mark.parametrize("timestamp", ["", "now", "-1", "1e9", "٣", "1614265330.5", "9" * 13])
def test_it_rejects_timestamps_that_are_none(timestamp):
    check_refused("standard", headers={**STANDARD["headers"], "webhook-timestamp": timestamp})


def test_it_rejects_an_id_with_a_dot():
    """`a.1` at `2` and `a` at `1.2` would be signed alike."""
    assert check_refused("standard", headers={**STANDARD["headers"], "webhook-id": "msg.1"}) == "invalid_signature"


def test_one_right_signature_among_several_will_do():
    good = STANDARD["headers"]["webhook-signature"]
    check_taken("standard", headers={**STANDARD["headers"], "webhook-signature": f"v1a,AAAA v1,AAAA {good}"})


def test_it_rejects_versions_that_it_does_not_know():
    good = STANDARD["headers"]["webhook-signature"].removeprefix("v1,")
    assert check_refused("standard", headers={**STANDARD["headers"], "webhook-signature": f"v2,{good}"})


def test_stripes_fake_scheme_does_not_count():
    fake = {"stripe-signature": f"t=1492774577,v0={_STRIPE_V1}"}
    assert check_refused("stripe", headers=fake) == "invalid_signature"


def test_svix_headers_are_the_standards_forerunner():
    check_taken(
        "standard", headers={name.replace("webhook-", "svix-"): text for name, text in STANDARD["headers"].items()}
    )


def test_the_header_of_generic_can_be_named():
    signed = Signed(headers={"x-mine": GENERIC["headers"]["x-signature"]}, body=b"anything", header="X-Mine")
    assert verify("generic", signed, [GENERIC["secret"]], at(0)) is None


# --- ours ---------------------------------------------------------------------------------------------------------


def test_the_published_example_is_signed_alike():
    ours = signature_of(
        STANDARD["secret"], message_id="msg_p5jXN8AQM9LWM0D4loKWxJek", timestamp=1614265330, body=STANDARD["body"]
    )
    assert ours == STANDARD["headers"]["webhook-signature"]


def test_the_reference_library_takes_what_is_signed_here():
    secret, now = secrets.generate(), datetime.now(UTC)
    timestamp = int(now.timestamp())
    ours = signature_of(secret, message_id="msg_1", timestamp=timestamp, body=b'{"a": 1}')
    headers = {"webhook-id": "msg_1", "webhook-timestamp": str(timestamp), "webhook-signature": ours}

    assert Oracle(secret).verify(b'{"a": 1}', headers) == {"a": 1}


def test_what_the_reference_library_signs_is_taken_here():
    secret, now = secrets.generate(), datetime.now(UTC)
    theirs = Oracle(secret).sign("msg_1", now, '{"a": 1}')
    headers = {"webhook-id": "msg_1", "webhook-timestamp": str(int(now.timestamp())), "webhook-signature": theirs}

    signed = Signed(headers=headers, body=b'{"a": 1}', header="")
    assert verify("standard", signed, [secret], now + timedelta(seconds=1)) is None


def test_a_fresh_secret_is_one_of_the_standard():
    secret = secrets.generate()
    assert secret.startswith("whsec_")
    assert len(base64.b64decode(secret.removeprefix("whsec_"))) == 32
    assert secrets.generate() != secret
