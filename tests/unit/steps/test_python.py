"""python: a function as a step."""

import math
from pathlib import Path
from typing import Any

import pytest

from flowforge.steps.base import Completed, Failed
from flowforge.steps.python import MAX_RESULT_BYTES, Python
from flowforge.steps.registry import default_registry
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
        ("def f(a):\n    pass\nmain = f", "TypeError: f() missing 1 required positional argument: 'a'"),
        (
            "main = lambda a: a\ndef f():\n    def main(): pass",
            "TypeError: <lambda>() missing 1 required positional argument: 'a'",
        ),
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


# --- what main takes ----------------------------------------------------------------------------------------------

TYPED = """
from datetime import date, datetime
from typing import Literal, Optional

def main(
    day: date,
    at: datetime | None,
    number: int,
    share: float,
    flag: bool,
    rows: list[dict[str, int]],
    mode: Literal["fast", "safe"] = "safe",
    note: Optional[str] = None,
    most: int = None,
    **others: int,
):
    given = {name: (type(value).__name__, str(value)) for name, value in locals().items()}
    given["back"] = [day, at]
    return given
"""
GOOD: dict[str, Any] = {
    "day": "2026-03-01",
    "at": "2026-03-01T10:00:00Z",
    "number": "3",
    "share": "2.5",
    "flag": "True",
    "rows": [{"a": "1"}, {"b": 2.0}],
    "other": " 7 ",
}


def test_inputs_come_as_what_their_annotations_say(attempt: Attempt) -> None:
    assert default_registry().faults("python", {"code": TYPED, "inputs": GOOD}) == []
    outcome = attempt.run(Python(), {"code": TYPED, "inputs": GOOD})
    assert outcome == Completed(
        output={
            "day": ["date", "2026-03-01"],
            "at": ["datetime", "2026-03-01 10:00:00+00:00"],
            "number": ["int", "3"],
            "share": ["float", "2.5"],
            "flag": ["bool", "True"],
            "rows": ["list", "[{'a': 1}, {'b': 2}]"],
            "mode": ["str", "safe"],
            "note": ["NoneType", "None"],
            "most": ["NoneType", "None"],
            "others": ["dict", "{'other': 7}"],
            "back": ["2026-03-01", "2026-03-01T10:00:00+00:00"],
        }
    )


BAD: list[tuple[dict[str, Any], list[tuple[str, str]]]] = [
    ({"day": "tomorrow"}, [("/inputs/day", "format")]),
    ({"at": 3}, [("/inputs/at", "any_of")]),
    ({"number": "three"}, [("/inputs/number", "type")]),
    ({"number": "--3"}, [("/inputs/number", "type")]),
    ({"number": 2.5}, [("/inputs/number", "type")]),
    ({"number": True}, [("/inputs/number", "type")]),
    ({"number": None}, [("/inputs/number", "type")]),
    ({"share": "nan"}, [("/inputs/share", "type")]),
    ({"flag": 1}, [("/inputs/flag", "type")]),
    ({"rows": [{"a": "x"}]}, [("/inputs/rows/0/a", "type")]),
    ({"mode": "slow"}, [("/inputs/mode", "enum")]),
    ({"note": 3}, [("/inputs/note", "any_of")]),
    ({"other": "x"}, [("/inputs/other", "type")]),
]


@pytest.mark.parametrize(("inputs", "faults"), BAD)
def test_it_rejects_inputs_of_another_type(
    attempt: Attempt, inputs: dict[str, Any], faults: list[tuple[str, str]]
) -> None:
    config = {"code": TYPED, "inputs": GOOD | inputs}
    assert [(fault.pointer, fault.code) for fault in default_registry().faults("python", config)] == faults
    outcome = attempt.run(Python(), config)
    assert isinstance(outcome, Failed)
    assert (outcome.code, outcome.retryable) == ("invalid_inputs", False)
    assert [(error["pointer"], error["code"]) for error in outcome.details["errors"]] == faults
    assert faults[0][0] in outcome.message


@pytest.mark.parametrize(
    ("signature", "inputs", "faults"),
    [
        ("a, b=1, *, c, d=2", {}, [("/inputs/a", "required"), ("/inputs/c", "required")]),
        ("a", {"a": 1, "b": 2}, [("/inputs/b", "additional_properties")]),
        ("", {"b": 2}, [("/inputs/b", "additional_properties")]),
        ("a, **others", {"a": 1, "b": 2}, []),
        ("a: int", {"a": "{{ inputs.a }}"}, []),
        ("a: int", {"b": "{{ inputs.a }}"}, [("/inputs/b", "additional_properties"), ("/inputs/a", "required")]),
        ("a: Unknown, b: 'list[int]', c: 'a b'", {"a": object, "b": ["1"], "c": 1}, []),
        ("a: typing.List[int] | None", {"a": ["x"]}, [("/inputs/a", "any_of")]),
        ("a: set[int], b: bytes, c: Path | None", {"a": 1, "b": 2, "c": 3}, []),
    ],
)
def test_missing_and_unknown_inputs_are_named_when_a_workflow_is_saved(
    signature: str, inputs: dict[str, Any], faults: list[tuple[str, str]]
) -> None:
    given = {name: None if value is object else value for name, value in inputs.items()}
    config = {"code": f"def main({signature}):\n    pass", "inputs": given}
    found = default_registry().faults("python", config)
    assert sorted((fault.pointer, fault.code) for fault in found) == sorted(faults)


@pytest.mark.parametrize(
    "code",
    [
        "@wrapped\ndef main(a): pass",
        "def main(a): pass\nmain = other(main)",
        "def main(a): pass\nfrom somewhere import main",
        "try:\n    def main(a): pass\nexcept ValueError:\n    pass",
        "def main(a: " + "[".join(["list"] * 150) + "]" * 149 + "): pass",
    ],
)
def test_where_only_running_it_would_tell_nothing_is_said(code: str) -> None:
    assert Python().check({"code": code, "inputs": {"b": 1}}) == []


def test_a_method_called_main_is_not_the_steps(attempt: Attempt) -> None:
    code = "class A:\n    def main(self, x): pass\n\ndef main(): return 1\n\nclass B:\n    def main(self, y): pass"
    assert attempt.run(Python(), {"code": code}) == Completed(output=1)


def test_an_expression_may_give_all_of_them(attempt: Attempt) -> None:
    code = "def main(a: int):\n    return a"
    assert default_registry().faults("python", {"code": code, "inputs": "{{ inputs }}"}) == []
    assert fail(attempt, code, b=1).code == "invalid_inputs"


# --- more of what code does ---------------------------------------------------------------------------------------


def test_main_may_be_asynchronous(attempt: Attempt) -> None:
    code = "import asyncio\n\nasync def main(n: int):\n    await asyncio.sleep(0)\n    return n + 1"
    assert Python().check({"code": code, "inputs": {}})[0].pointer == "/inputs/n"
    assert attempt.run(Python(), {"code": code, "inputs": {"n": "1"}}) == Completed(output=2)


def test_classes_of_the_code_work_as_in_a_module(attempt: Attempt) -> None:
    code = """
from __future__ import annotations
from dataclasses import dataclass, field
from typing import ClassVar
import datetime, pickle

@dataclass
class Order:
    kind: ClassVar[str] = "order"
    number: int = 1
    days: list[datetime.date] = field(default_factory=lambda: [datetime.date(2026, 1, 2)])

def main():
    return {"order": pickle.loads(pickle.dumps(Order())), "at": datetime.time(1, 2)}
"""
    output = {"order": {"number": 1, "days": ["2026-01-02"]}, "at": "01:02:00"}
    assert attempt.run(Python(), {"code": code}) == Completed(output=output)


def test_a_traceback_tells_what_led_to_it(attempt: Attempt) -> None:
    code = """
def load(text):
    return int(text)

def main():
    try:
        load("x")
    except ValueError as error:
        raise RuntimeError("no number") from error
"""
    outcome = fail(attempt, code)
    assert (outcome.message, outcome.details) == ("RuntimeError: no number", {"line": 9})
    told = attempt.text
    first, last = told.index("ValueError: invalid literal"), told.index("RuntimeError: no number")
    assert first < told.index("direct cause of the following exception") < last
    assert 'File "<code>", line 3, in load\n    return int(text)' in told[:first]
    assert "python_runner" not in told


def test_exceptions_that_go_in_circles_are_told_once(attempt: Attempt) -> None:
    code = "def main():\n    a, b = ValueError('a'), KeyError('b')\n    a.__cause__, b.__cause__ = b, a\n    raise a"
    assert fail(attempt, code).message == "ValueError: a"
    assert attempt.text.count("KeyError") == 1
