"""python: a function as a step."""

import math
from pathlib import Path
from typing import Any

import pytest

from flowforge.steps.base import Completed, Failed
from flowforge.steps.python import MAX_RESULT_BYTES, Python
from tests.support.steps import Attempt

pytestmark = pytest.mark.processes


@pytest.fixture
def attempt(tmp_path: Path) -> Attempt:
    return Attempt(home=tmp_path)


def fail(attempt: Attempt, code: str, **inputs: Any) -> Failed:
    outcome = attempt.run(Python(), {"code": code, "inputs": inputs})
    assert isinstance(outcome, Failed)
    return outcome


def test_it_works(attempt: Attempt) -> None:
    code = "import statistics\n\ndef main(xs, text='ä'):\n    print('hi')\n    return {text: statistics.mean(xs)}"
    assert attempt.run(Python(), {"code": code, "inputs": {"xs": [1, 2, 6]}}) == Completed(output={"ä": 3})
    assert attempt.lines == [("info", "hi")]


@pytest.mark.parametrize(
    ("code", "fault", "detail"),
    [
        ("def main(:\n    pass", "syntax_error", "line 1: "),
        ("def main():\n  return 1\n return 2", "syntax_error", "line 3: "),
        ("x = '\0'", "syntax_error", "null bytes"),
        ("(" * 10_000, "syntax_error", "parentheses"),
        ("def other():\n    pass", "no_main", "def main"),
        ("", "no_main", "def main"),
        ("def main():\n    return '{{ inputs.x }}'", "expression_in_code", "as inputs"),
    ],
)
def test_it_rejects_code_that_cannot_run(code: str, fault: str, detail: str) -> None:
    (found,) = Python().check({"code": code})
    assert (found.pointer, found.code) == ("/code", fault)
    assert detail in found.detail


def test_it_rejects_nothing_by_running_it(tmp_path: Path) -> None:
    proof = tmp_path / "proof"
    code = f"open({str(proof)!r}, 'w')\n\ndef main():\n    return 1"
    assert Python().check({"code": code}) == []
    assert not proof.exists()


def test_an_exception_fails_with_the_line_of_the_users_own_code(attempt: Attempt) -> None:
    code = "import json\n\ndef helper(text):\n    return json.loads(text)\n\ndef main(text):\n    return helper(text)\n"
    outcome = fail(attempt, code, text="{")
    assert (outcome.code, outcome.retryable, outcome.details) == ("python_error", True, {"line": 4})
    assert outcome.message.startswith("json.decoder.JSONDecodeError: Expecting property name")
    assert 'File "<code>", line 7, in main\n    return helper(text)' in attempt.text
    assert "python_runner" not in attempt.text


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("def main():\n    raise SystemExit(3)", "SystemExit: 3"),
        ("def main(a):\n    pass", "TypeError: main() missing 1 required positional argument: 'a'"),
        ("main = None\n\ndef f():\n    def main(): pass", "TypeError: 'NoneType' object is not callable"),
        ("1 / 0\ndef main(): pass", "ZeroDivisionError: division by zero"),
        ("import os\ndef main():\n    os._exit(4)", "the process ended with exit code 4 before main() had returned"),
        ("import os\ndef main():\n    os.abort()", "the process ended with signal SIGABRT before main() had returned"),
    ],
)
def test_however_it_ends_it_is_said(attempt: Attempt, code: str, message: str) -> None:
    outcome = fail(attempt, code)
    assert (outcome.code, outcome.message) == ("python_error", message)


@pytest.mark.parametrize("value", ["{1, 2}", "object()", "(lambda a: a.append(a) or a)([])", "{(1, 2): 3}"])
def test_what_is_no_json_is_invalid_output(attempt: Attempt, value: str) -> None:
    outcome = fail(attempt, f"def main():\n    return {value}")
    assert (outcome.code, outcome.retryable) == ("invalid_output", False)


def test_too_much_is_invalid_output(attempt: Attempt) -> None:
    outcome = fail(attempt, f"def main():\n    return 'x' * {MAX_RESULT_BYTES}")
    assert (outcome.code, outcome.retryable) == ("invalid_output", False)


def test_what_only_the_engine_can_store_arrives_as_it_is(attempt: Attempt) -> None:
    outcome = attempt.run(Python(), {"code": "def main():\n    return [float('nan'), 2 ** 80, (1, 2)]"})
    assert isinstance(outcome, Completed)
    not_a_number, *rest = outcome.output
    assert math.isnan(not_a_number)
    assert rest == [2**80, [1, 2]]


def test_it_is_alone(attempt: Attempt, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FLOWFORGE_SECRET_KEYS", "canary")
    code = """
import os, sys

def main():
    importable = [name for name in ("flowforge", "workflows") if __import__("importlib.util").util.find_spec(name)]
    return {"secret": os.environ.get("FLOWFORGE_SECRET_KEYS"), "ours": importable, "stdin": sys.stdin.read(),
            "result": os.environ.get("FLOWFORGE_RESULT_FD"), "cwd": os.listdir("."), "isolated": sys.flags.isolated}
"""
    outcome = attempt.run(Python(), {"code": code})
    assert outcome == Completed(
        output={"secret": None, "ours": [], "stdin": "", "result": None, "cwd": [], "isolated": 1}
    )
