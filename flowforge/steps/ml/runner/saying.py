"""What the process says goes to the step's log, line by line: standard output as information, errors as warnings."""

import sys


def say(line: str) -> None:
    print(line, flush=True)  # noqa: T201  standard output is the step's log


def warn(line: str) -> None:
    print(line, file=sys.stderr, flush=True)  # noqa: T201  standard error is the step's log, too
