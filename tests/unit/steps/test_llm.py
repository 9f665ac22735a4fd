"""llm: both protocols against a server that speaks them, and every fault of theirs that is known."""

import json
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from flowforge.steps.base import Completed, Failed, StepCancelled
from flowforge.steps.llm.prices import cost_of, parse
from flowforge.steps.llm.step import Llm
from tests.support.llm_server import LlmServer, event
from tests.support.steps import Attempt, Tokens

KEY = "sk-canary-5f3a9c-5f3a9c"
SCHEMA = {
    "type": "object",
    "required": ["n"],
    "additionalProperties": False,
    "properties": {"n": {"type": "integer", "minimum": 1}},
}

both = pytest.mark.parametrize("provider", ["openai", "anthropic"])
all_three = pytest.mark.parametrize("provider", ["openai", "anthropic", "openai_compatible"])


@pytest.fixture
def attempt(tmp_path: Path) -> Attempt:
    return Attempt(home=tmp_path, timeout_seconds=30, credentials=Tokens(KEY))


def run(attempt: Attempt, server: LlmServer, provider: str = "openai", **config: Any) -> Any:
    prompt = {} if "messages" in config else {"prompt": "Say hello"}
    whole = {"provider": provider, "base_url": server.url, "model": "m-1", "credential": "key", **prompt, **config}
    return attempt.run(Llm(), whole)


def fail(attempt: Attempt, server: LlmServer, provider: str = "openai", **config: Any) -> Failed:
    outcome = run(attempt, server, provider, **config)
    assert isinstance(outcome, Failed), outcome
    assert KEY not in outcome.message + attempt.text
    return outcome


def complete(attempt: Attempt, server: LlmServer, provider: str = "openai", **config: Any) -> Any:
    outcome = run(attempt, server, provider, **config)
    assert isinstance(outcome, Completed), outcome
    return outcome.output


@all_three
def test_it_works(attempt: Attempt, llm_server: LlmServer, provider: str) -> None:
    llm_server.says("Hel", "lo, ", "world")
    attempt.llm_prices = parse(["m-*=2/10"])
    messages = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Say hello"}]
    outcome = run(attempt, llm_server, provider, messages=messages, temperature=0, max_tokens=50)
    assert isinstance(outcome, Completed)
    usage = {"input_tokens": 100, "output_tokens": 10, "requests": 1, "tool_calls": 0}
    assert outcome.output == {"text": "Hello, world", "json": None, "usage": usage, "cost": pytest.approx(0.0003)}
    assert outcome.cost == pytest.approx(0.0003)
    (asked,) = llm_server.asked
    limit = {"openai": "max_completion_tokens"}.get(provider, "max_tokens")
    assert (asked.body["model"], asked.body["temperature"], asked.body[limit]) == ("m-1", 0, 50)
    assert asked.body["stream"] is True
    assert "Be brief." in asked.said
    assert "Hello, world" in attempt.text
    shown = asked.headers.get("x-api-key") or asked.headers["authorization"].removeprefix("Bearer ")
    assert shown == KEY


@pytest.mark.parametrize(
    ("config", "pointer", "code"),
    [
        ({"prompt": "a", "messages": []}, "/prompt", "one_of"),
        ({}, "", "one_of"),
        ({"prompt": "a", "provider": "openai_compatible"}, "/base_url", "required"),
        ({"prompt": "a", "base_url": "ftp://a"}, "/base_url", "invalid_url"),
        ({"prompt": "a", "output_schema": {"type": "thing"}}, "/output_schema/type", "invalid_schema"),
    ],
)
def test_it_rejects_a_bad_config(config: dict[str, Any], pointer: str, code: str) -> None:
    (fault,) = Llm().check({"provider": "openai", "model": "m", **config})
    assert (fault.pointer, fault.code) == (pointer, code)


def test_it_rejects_a_private_target(attempt: Attempt, llm_server: LlmServer) -> None:
    attempt.allow = ()
    outcome = fail(attempt, llm_server)
    assert (outcome.code, outcome.retryable) == ("target_refused", False)
    assert llm_server.asked == []


def test_it_rejects_to_send_a_credential_elsewhere(attempt: Attempt, llm_server: LlmServer) -> None:
    outcome = fail(attempt, llm_server, base_url="https://elsewhere.test/v1")
    assert (outcome.code, outcome.retryable) == ("credential_host", False)
    assert fail(attempt, llm_server, credential="gone").code == "credential_unknown"
    assert llm_server.asked == []


def test_it_rejects_a_prompt_asset_that_cannot_be_had(attempt: Attempt, llm_server: LlmServer) -> None:
    config = {"provider": "openai", "base_url": llm_server.url, "model": "m", "prompt_asset_id": "a"}
    outcome = attempt.run(Llm(), config)
    assert isinstance(outcome, Failed)
    assert (outcome.code, outcome.retryable) == ("not_available", False)


# --- the provider says no -----------------------------------------------------------------------------------------


@both
@pytest.mark.parametrize(
    ("status", "code", "retryable"),
    [
        (400, "request_refused", False),
        (401, "authentication_failed", False),
        (404, "request_refused", False),
        (429, "rate_limited", True),
        (500, "provider_error", True),
        (503, "overloaded", True),
        (529, "overloaded", True),
    ],
)
def test_a_status_has_a_code(
    attempt: Attempt, llm_server: LlmServer, provider: str, status: int, code: str, retryable: bool
) -> None:
    llm_server.refuses(status, f"no, {KEY}", Retry_After="7")
    outcome = fail(attempt, llm_server, provider)
    assert (outcome.code, outcome.retryable, outcome.details) == (code, retryable, {"status": status})
    assert outcome.retry_after_seconds == 7
    assert outcome.message.endswith(": no, ***")


@both
@pytest.mark.parametrize(
    ("kind", "code", "retryable"),
    [
        ("overloaded_error", "overloaded", True),
        ("rate_limit_error", "rate_limited", True),
        ("invalid_request_error", "request_refused", False),
        ("anything", "provider_error", True),
    ],
)
def test_an_error_in_the_middle_of_a_stream(
    attempt: Attempt, llm_server: LlmServer, provider: str, kind: str, code: str, retryable: bool
) -> None:
    llm_server.sends(event({"type": "error", "error": {"type": kind, "message": f"too much {KEY}"}}, "error"))
    outcome = fail(attempt, llm_server, provider)
    assert (outcome.code, outcome.retryable) == (code, retryable)
    assert "too much ***" in outcome.message


@both
@pytest.mark.parametrize(
    ("answer", "code", "retryable"),
    [
        ({"cut": True}, "stream_broken", True),
        ({"stop": "none"}, "stream_broken", True),
        ({"stop": "length"}, "max_tokens_reached", False),
        ({"stop": "refusal"}, "refused", False),
        ({"headers": {"Content-Type": "text/html"}}, "invalid_response", True),
    ],
)
def test_a_reply_that_is_none(
    attempt: Attempt, llm_server: LlmServer, provider: str, answer: dict[str, Any], code: str, retryable: bool
) -> None:
    llm_server.says("Hel", **answer)
    outcome = fail(attempt, llm_server, provider)
    assert (outcome.code, outcome.retryable) == (code, retryable)


@both
@pytest.mark.parametrize("raw", [b"data: {oh\n\n", b"data: [1]\n\n", b"data: " + b"[" * 5000 + b"\n\n"])
def test_garble(attempt: Attempt, llm_server: LlmServer, provider: str, raw: bytes) -> None:
    llm_server.sends(raw)
    assert fail(attempt, llm_server, provider).code == "invalid_response"


def test_no_choice_is_no_answer(attempt: Attempt, llm_server: LlmServer) -> None:
    llm_server.sends(event({"choices": []}), event("[DONE]"))
    assert fail(attempt, llm_server).code == "empty_response"
    llm_server.sends(event({"type": "message_stop"}))
    assert fail(attempt, llm_server, "anthropic").code == "empty_response"


def test_a_refusal_in_words(attempt: Attempt, llm_server: LlmServer) -> None:
    said = {"choices": [{"index": 0, "delta": {"refusal": "I would rather not"}, "finish_reason": "stop"}]}
    llm_server.sends(event(said), event("[DONE]"))
    outcome = fail(attempt, llm_server)
    assert outcome.code == "refused"
    assert "I would rather not" in outcome.message


@both
def test_what_a_failure_cost_is_counted(attempt: Attempt, llm_server: LlmServer, provider: str) -> None:
    attempt.llm_prices = parse(["m-1=1/1"])
    llm_server.says("Hel", stop="length")
    outcome = fail(attempt, llm_server, provider)
    assert outcome.cost == pytest.approx(0.00011)
    assert outcome.output["text"] == "Hel"


# --- time ---------------------------------------------------------------------------------------------------------


@both
@pytest.mark.parametrize("reason", ["cancelled", "timeout"])
def test_it_stops_in_the_middle_of_a_stream(
    attempt: Attempt, llm_server: LlmServer, provider: str, reason: str
) -> None:
    llm_server.says("first line\n", "second" * 100, hang=True)  # some of it is held back: it may be half a secret
    attempt.cancel_after("first line", reason)
    began = time.monotonic()
    with pytest.raises(StepCancelled, match=reason):
        run(attempt, llm_server, provider)
    assert time.monotonic() - began < 2


@both
def test_its_deadline_holds_to_the_last_byte(attempt: Attempt, llm_server: LlmServer, provider: str) -> None:
    attempt.timeout_seconds = 0.3
    llm_server.says("a", hang=True)
    outcome = fail(attempt, llm_server, provider)
    assert (outcome.code, outcome.retryable) == ("timeout", True)


# --- structured output --------------------------------------------------------------------------------------------


@all_three
def test_structured_output(attempt: Attempt, llm_server: LlmServer, provider: str) -> None:
    llm_server.says('{"n"', ": 3}")
    output = complete(attempt, llm_server, provider, output_schema=SCHEMA)
    assert output["json"] == {"n": 3}
    (asked,) = llm_server.asked
    native = asked.body.get("response_format", {}).get("type") or asked.body["tool_choice"]
    wanted: dict[str, Any] = {"openai": "json_schema", "openai_compatible": "json_object"}
    assert native == wanted.get(provider, {"type": "tool", "name": "answer"})


def test_an_output_that_is_no_object(attempt: Attempt, llm_server: LlmServer) -> None:
    llm_server.says("```json\n[1, 2]\n```")
    output = complete(attempt, llm_server, "anthropic", output_schema={"type": "array"})
    assert output["json"] == [1, 2]
    assert "tools" not in llm_server.asked[0].body


@all_three
@pytest.mark.parametrize("wrong", ['{"n": 0}', "no JSON", '{"n": 1' + "0" * 30 + "}", '{"n": "\\u0000"}', "[" * 100])
def test_one_repair(attempt: Attempt, llm_server: LlmServer, provider: str, wrong: str) -> None:
    llm_server.says(wrong)
    llm_server.says('{"n": 4}')
    output = complete(attempt, llm_server, provider, output_schema=SCHEMA)
    assert (output["json"], output["usage"]["requests"]) == ({"n": 4}, 2)
    assert "not valid" in llm_server.asked[1].said


@both
def test_a_repair_that_fails(attempt: Attempt, llm_server: LlmServer, provider: str) -> None:
    llm_server.says('{"n": 0}')
    llm_server.says('{"m": 1}')
    llm_server.says('{"n": 5}')
    outcome = fail(attempt, llm_server, provider, output_schema=SCHEMA)
    assert outcome.code == "invalid_output"
    assert {fault["pointer"] for fault in outcome.details["errors"]} == {"/n", "/m"}
    assert len(llm_server.asked) == 2


# --- hostile replies ----------------------------------------------------------------------------------------------


@both
@pytest.mark.parametrize("text", ["{{ 7 * 7 }} {% raw %}", "$(reboot)", "<script>", "\x1b[2J"])
def test_a_reply_is_data(attempt: Attempt, llm_server: LlmServer, provider: str, text: str) -> None:
    llm_server.says(text)
    assert complete(attempt, llm_server, provider)["text"] == text


@both
def test_nul_and_halves_of_characters_are_replaced(attempt: Attempt, llm_server: LlmServer, provider: str) -> None:
    llm_server.says("a\x00b\ud800c")
    output = complete(attempt, llm_server, provider)
    assert output["text"] == "a�b�c"
    json.dumps(output).encode()


@both
def test_a_reply_has_a_bound(attempt: Attempt, llm_server: LlmServer, provider: str) -> None:
    llm_server.says(*["x" * 60_000] * 10)
    outcome = fail(attempt, llm_server, provider)
    assert (outcome.code, outcome.retryable) == ("response_too_large", False)
    assert max(len(line) for _, line in attempt.lines) <= 1_000


@both
def test_an_event_has_a_bound(attempt: Attempt, llm_server: LlmServer, provider: str) -> None:
    llm_server.sends(b"data: " + b"x" * 2**20, b"x" * 2**20)
    assert fail(attempt, llm_server, provider).code == "response_too_large"


@both
def test_huge_numbers_of_tokens_are_none(attempt: Attempt, llm_server: LlmServer, provider: str) -> None:
    llm_server.says("a", usage=(10**40, 10**40))
    output = complete(attempt, llm_server, provider)
    assert output["usage"]["output_tokens"] is None or provider == "anthropic"
    assert output["cost"] is None


@both
def test_the_key_is_not_in_the_log(attempt: Attempt, llm_server: LlmServer, provider: str) -> None:
    llm_server.says(f"your key is {KEY[:9]}", f"{KEY[9:]}\nbye")
    complete(attempt, llm_server, provider)
    assert "your key is ***" in attempt.text
    assert KEY not in attempt.text


def test_a_cost_that_is_not_known_is_null(attempt: Attempt, llm_server: LlmServer) -> None:
    outcome = run(attempt, llm_server)
    assert (outcome.output["cost"], outcome.cost) == (None, 0.0)
    assert "the cost is not known" in attempt.text


def test_a_server_that_tells_no_usage(attempt: Attempt, llm_server: LlmServer) -> None:
    attempt.llm_prices = parse(["m-1=1/1"])
    llm_server.says("a", usage=None)
    output = complete(attempt, llm_server)
    assert (output["usage"]["input_tokens"], output["cost"]) == (None, None)


def test_prices() -> None:
    prices = parse(["a-*=1/2", " a-b=3/4"])
    assert cost_of(prices, "a-b", 1_000_000, 0) == 3
    assert cost_of(prices, "a-c", 0, 1_000_000) == 2
    assert cost_of(prices, "b", 1, 1) is None
    for wrong in ("a", "a=1", "a=x/y", "=1/2", "a=-1/2"):
        with pytest.raises(ValueError, match="model=in/out"):
            parse([wrong])


def test_several_threads_ask_at_once(tmp_path: Path, llm_server: LlmServer) -> None:
    barrier, found = threading.Barrier(8), []

    def ask() -> None:
        barrier.wait()
        found.append(complete(Attempt(home=tmp_path, credentials=Tokens(KEY)), llm_server)["text"])

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == ["Hello"] * 8
