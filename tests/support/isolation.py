"""Which isolation levels this machine has; a test of another is skipped, loudly."""

import tempfile
from functools import cache
from pathlib import Path

import pytest

from flowforge.steps.isolation import complaint_of


def available(level: str) -> None:
    complaint = _complaint(level)
    if complaint is not None:
        pytest.skip(f"!!! NOT TESTED: the isolation level {level} does not work here: {complaint}")


@cache
def _complaint(level: str) -> str | None:
    with tempfile.TemporaryDirectory() as home:
        return complaint_of(level, Path(home))  # type: ignore[arg-type]  # one of LEVELS
