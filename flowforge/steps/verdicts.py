"""An outcome in the form in which it is kept for the end of a wait: `kernel.runstate.Verdict` reads it.

Written by the engine (how a wait ends by itself) and by services (how someone outside has ended it).
"""

from typing import Final

from flowforge.core import json
from flowforge.core.json import Json
from flowforge.steps.base import Completed, Failed

MAX_BRANCH_LENGTH: Final = 200


def stored(outcome: Completed | Failed) -> dict[str, Json]:
    """`{status, output, branch?, error?, otherwise?}`."""
    if isinstance(outcome, Failed):
        return {"status": "failed", "output": outcome.output, "error": error_of(outcome)}
    otherwise = None if outcome.otherwise is None else error_of(outcome.otherwise)
    return {"status": "completed", "output": outcome.output, "branch": label(outcome.branch), "otherwise": otherwise}


def label(branch: str | None) -> str | None:
    """A branch as it is kept: a value may have become one."""
    return None if branch is None else json.sanitize(branch[:MAX_BRANCH_LENGTH])[0]


def error_of(outcome: Failed) -> dict[str, Json]:
    """`{code, message, details}` as it is kept: with nothing in it that a database could not hold."""
    error: dict[str, Json] = {"code": outcome.code, "message": outcome.message, "details": dict(outcome.details)}
    kept: dict[str, Json] = json.sanitize(error)[0]
    return kept
