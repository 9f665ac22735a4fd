"""generic: a command as a step."""

from pathlib import Path
from typing import Any

import pytest

from flowforge.steps.base import Completed, Failed
from flowforge.steps.generic import Generic
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
