"""Secrets do not get out."""

import base64
import json
import re
from typing import Any
from urllib.parse import quote, quote_plus, urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flowforge.core.redaction import MASK, Redactor

SECRET = 'pa/ss "wörd"+%1'


def test_it_works() -> None:
    redactor = Redactor(["hunter22"])
    assert redactor.text("login with hunter22!") == "login with ***!"
    assert redactor.value({"a": ["x hunter22", 3, None]}) == {"a": ["x ***", 3, None]}


@pytest.mark.parametrize("short", ["", "a", "12345"])
def test_it_rejects_secrets_too_short_to_look_for(short: str) -> None:
    assert Redactor([short]).text("a 12345 b") == "a 12345 b"


@pytest.mark.parametrize(
    "form",
    [
        SECRET,
        json.dumps(SECRET)[1:-1],
        json.dumps(SECRET, ensure_ascii=False)[1:-1],
        quote(SECRET),
        quote(SECRET, safe=""),
        quote_plus(SECRET),
        re.sub("%..", lambda escape: escape[0].lower(), quote(SECRET)),
        base64.b64encode(SECRET.encode()).decode(),
        base64.urlsafe_b64encode(SECRET.encode()).decode(),
    ],
)
def test_it_knows_the_usual_spellings(form: str) -> None:
    masked = Redactor([SECRET]).text(f"before {form} after")
    assert MASK in masked
    assert len(masked) <= len("before *** after") + 4  # what base64 mixes with its neighbours says nothing
    assert form not in masked


@pytest.mark.parametrize("user", ["a", "ab", "abc", "abcd"])
def test_it_knows_basic_authentication(user: str) -> None:
    encoded = base64.b64encode(f"{user}:correct-horse-battery:more".encode()).decode()
    masked = Redactor(["correct-horse-battery"]).text(encoded)
    left = re.sub(r"\*\*\*", "", masked)
    assert MASK in masked
    assert len(left) <= len(encoded) - len(base64.b64encode(b"correct-horse-battery")) + 4


def test_the_longer_secret_wins() -> None:
    assert Redactor(["secret", "secret-and-more"]).text("secret-and-more secret") == "*** ***"


def test_a_secret_of_several_lines_is_known_by_each() -> None:
    key = "-----BEGIN KEY-----\nMIIEvQIBADANBg\n  kqhkiG9w0BAQ\nabc\n-----END KEY-----\n"
    redactor = Redactor([key])
    assert redactor.text("MIIEvQIBADANBg") == "***"
    assert redactor.text("kqhkiG9w0BAQ") == "***"
    assert redactor.text("abc") == "abc"
    assert redactor.text(f"<{key}>") == "<***>"


@pytest.mark.parametrize(
    "key",
    [
        "Authorization",
        "X-Api-Key",
        "api_key",
        "apikey",
        "accessToken",
        "client_secret",
        "PASSWORD",
        "Set-Cookie",
        "cookies",
    ],
)
def test_sensitive_keys_hide_their_texts(key: str) -> None:
    value = {"headers": {key: "short"}, "list": [{key: {"deep": ["x", 5, ""]}}]}
    assert Redactor().value(value) == {"headers": {key: MASK}, "list": [{key: {"deep": [MASK, 5, ""]}}]}


@pytest.mark.parametrize("value", [{"max_tokens": 100}, {"key": "a"}, {"author": "b"}, {"keyword": "c"}, {"a": True}])
def test_others_do_not(value: dict[str, Any]) -> None:
    assert Redactor().value(value) == value


def test_keys_are_masked_and_the_original_stays() -> None:
    value = {"hunter22": ("a hunter22",)}
    assert Redactor(["hunter22"]).value(value) == {MASK: [f"a {MASK}"]}
    assert value == {"hunter22": ("a hunter22",)}


CANARY = "canary-5f3a"
PLACES: list[Any] = [
    CANARY,
    f"Traceback: ValueError: bad token {CANARY}",
    {"message": f"GET https://a/?{urlencode({'k': CANARY})} failed"},
    {"a": {"b": [{"c": f"{CANARY}"}]}},
    [[[CANARY]]],
    {CANARY: 1},
    {"json": json.dumps({"a": CANARY})},
    {"nested_json": json.dumps(json.dumps({"a": CANARY}))},
    {"header": f"Basic {base64.b64encode(f'user:{CANARY}'.encode()).decode()}"},
    {"url": f"https://user:{CANARY}@example.com/"},
    {"stdout": f"line\n{CANARY}\nline"},
    {"repeated": CANARY * 3},
    {"details": {"args": [f"--password={CANARY}"]}},
    {"form": f"a=1&b={CANARY}"},
    (CANARY,),
]


@pytest.mark.parametrize("place", PLACES, ids=range(len(PLACES)))
def test_a_canary_does_not_get_through(place: Any) -> None:
    shown = json.dumps(Redactor([CANARY]).value(place))
    assert CANARY not in shown
    assert MASK in shown


@given(st.data())
def test_a_stream_masks_what_the_whole_text_would(data: st.DataObject) -> None:
    pieces = st.sampled_from(["abcdef", "abc", "def", "abcdefgh", "gh", "x", ""])
    text = "".join(data.draw(st.lists(pieces)))
    cuts = sorted(data.draw(st.lists(st.integers(0, len(text)))))
    stream = Redactor(["abcdef", "abcdefgh", "efghab"]).stream()
    chunks = [text[start:end] for start, end in zip([0, *cuts], [*cuts, len(text)], strict=True)]
    masked = "".join([*map(stream.feed, chunks), stream.finish()])
    assert masked == Redactor(["abcdef", "abcdefgh", "efghab"]).text(text)


def test_a_stream_holds_back_no_more_than_it_must() -> None:
    stream = Redactor(["abcdefgh"]).stream()
    assert stream.feed("0" * 100) == "0" * 85  # of its spellings the longest, in hex, has sixteen characters
    assert stream.feed("abcdefgh" + "1" * 9) == "0" * 15 + "***"
    assert stream.finish() == "1" * 9
    assert Redactor().stream().feed("everything") == "everything"
