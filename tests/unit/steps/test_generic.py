"""generic: a command as a step."""

from pathlib import Path
from typing import Any

import pytest

from flowforge.steps.base import Completed, Failed
from flowforge.steps.generic import MAX_PARSED_BYTES, Generic
from tests.support.steps import Attempt

pytestmark = pytest.mark.processes


@pytest.fixture
def attempt(tmp_path: Path) -> Attempt:
    return Attempt(home=tmp_path)


def test_it_works(attempt: Attempt) -> None:
    outcome = attempt.run(Generic(), {"command": "printf '%s|' a", "args": ["b c", 3, True, "$HOME;"]})
    assert outcome == Completed(output={"exit_code": 0, "stdout": "a|b c|3|true|$HOME;|", "stderr": ""})


@pytest.mark.parametrize("command", ["echo 'open", "  ", "''x'"])
def test_it_rejects_what_is_no_command(attempt: Attempt, command: str) -> None:
    (fault,) = Generic().check({"command": command})
    assert (fault.pointer, fault.code) == ("/command", "invalid_command")
    outcome = attempt.run(Generic(), {"command": command})
    assert isinstance(outcome, Failed)
    assert (outcome.code, outcome.retryable) == ("invalid_config", False)


def test_it_rejects_a_working_directory_outside(attempt: Attempt) -> None:
    outcome = attempt.run(Generic(), {"command": "pwd", "cwd": "/etc"})
    assert isinstance(outcome, Failed)
    assert (outcome.code, outcome.retryable) == ("invalid_config", False)


def test_no_shell_reads_the_command(attempt: Attempt) -> None:
    outcome = attempt.run(Generic(), {"command": "echo $HOME `id` > file ; ls *"})
    assert isinstance(outcome, Completed)
    assert outcome.output["stdout"] == "$HOME `id` > file ; ls *\n"


def test_a_program_that_is_not_there_is_not_tried_again(attempt: Attempt) -> None:
    outcome = attempt.run(Generic(), {"command": "no-such-program --help"})
    message = "no-such-program: command not found"
    assert outcome == Failed(code="command_not_found", message=message, retryable=False)


def test_an_exit_code_fails_and_shows_what_there_was(attempt: Attempt) -> None:
    outcome = attempt.run(Generic(), {"command": "bash", "args": ["-c", "echo so far; echo why >&2; exit 7"]})
    assert outcome == Failed(
        code="exit_code",
        message="the command ended with exit code 7",
        details={"exit_code": 7},
        output={"exit_code": 7, "stdout": "so far\n", "stderr": "why\n"},
    )


def test_a_signal_is_named(attempt: Attempt) -> None:
    outcome = attempt.run(Generic(), {"command": "bash -c 'kill -KILL $$'"})
    assert isinstance(outcome, Failed)
    assert outcome.message == "the command ended with signal SIGKILL"
    assert outcome.details == {"exit_code": 137, "signal": "SIGKILL"}


@pytest.mark.parametrize(
    ("stdin", "seen"), [("text\n", "text\n"), ({"a": [1, None]}, '{"a":[1,null]}'), (None, "null"), ("", "")]
)
def test_standard_input_is_text_or_json(attempt: Attempt, stdin: Any, seen: str) -> None:
    outcome = attempt.run(Generic(), {"command": "cat", "stdin": stdin})
    assert isinstance(outcome, Completed)
    assert outcome.output["stdout"] == seen


def test_it_works_in_a_folder_of_the_operator(attempt: Attempt, tmp_path: Path) -> None:
    (tmp_path / "files" / "in").mkdir(parents=True)
    attempt.file_roots = [tmp_path / "files"]
    config = {"command": "bash -c 'pwd; echo $N > out'", "cwd": str(tmp_path / "files/in"), "environment": {"N": 4}}
    outcome = attempt.run(Generic(), config)
    assert isinstance(outcome, Completed)
    assert outcome.output["stdout"] == f"{tmp_path}/files/in\n"
    assert (tmp_path / "files/in/out").read_text() == "4\n"


def test_its_scratch_directory_is_removed(attempt: Attempt, tmp_path: Path) -> None:
    outcome = attempt.run(Generic(), {"command": "bash -c 'pwd; touch a; mkdir -p b/c; chmod 0 b; exit 1'"})
    assert isinstance(outcome, Failed)
    assert outcome.output["stdout"].startswith(f"{tmp_path}/scratch/")
    assert list((tmp_path / "scratch").iterdir()) == []


@pytest.mark.parametrize(
    ("form", "printed", "read"),
    [
        ("json", '{"a": [1, null]}\n', {"json": {"a": [1, None]}}),
        ("json", "null", {"json": None}),
        ("lines", "one\ntwo words\n\nlast", {"lines": ["one", "two words", "", "last"]}),
        ("lines", "", {"lines": []}),
        ("text", "{}", {}),
    ],
)
def test_what_it_prints_is_read_as_told(attempt: Attempt, form: str, printed: str, read: dict[str, Any]) -> None:
    outcome = attempt.run(Generic(), {"command": "cat", "stdin": printed, "output": form})
    assert outcome == Completed(output={"exit_code": 0, "stdout": printed, "stderr": "", **read})


def test_what_is_read_is_whole(attempt: Attempt) -> None:
    """More than the tail that `stdout` is."""
    outcome = attempt.run(Generic(), {"command": "seq 40000", "output": "lines"})
    assert isinstance(outcome, Completed)
    assert len(outcome.output["lines"]) == 40_000
    assert len(outcome.output["stdout"]) <= 64 * 1024


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"command": "echo {", "output": "json"}, "is no JSON: "),
        ({"command": "printf ''", "output": "json"}, "is no JSON: "),
        ({"command": 'echo \'{"a":1,"a":2}\'', "output": "json"}, "is no JSON: "),
        ({"command": "echo NaN", "output": "json"}, "is no JSON: "),
        ({"command": f"head -c {MAX_PARSED_BYTES + 1} /dev/zero", "output": "lines"}, f"over {MAX_PARSED_BYTES} bytes"),
    ],
)
def test_it_rejects_what_cannot_be_read(attempt: Attempt, config: dict[str, Any], message: str) -> None:
    outcome = attempt.run(Generic(), config)
    assert isinstance(outcome, Failed)
    assert (outcome.code, outcome.retryable, outcome.output["exit_code"]) == ("invalid_output", False, 0)
    assert message in outcome.message
