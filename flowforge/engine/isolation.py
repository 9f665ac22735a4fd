"""How steps are isolated here: what this machine offers (tried once a process), and what a project wants."""

from dataclasses import replace
from functools import cache
from pathlib import Path

from django.conf import settings

from flowforge.projects.selectors import WantedIsolation
from flowforge.steps import isolation
from flowforge.steps.base import Failed, StepSettings
from flowforge.steps.isolation import Found
from flowforge.steps.levels import Isolation, reaches

UNAVAILABLE = "isolation_unavailable"


@cache
def found_here() -> Found:
    """The strongest level of this machine, or the one that the operator has chosen.

    Raises ValueError, with a message for people, if that one does not work.
    """
    settings.HOME.mkdir(mode=0o700, parents=True, exist_ok=True)
    return isolation.detect(settings.HOME, settings.ISOLATION)


@cache
def isolation_here() -> Isolation:
    """What steps of projects that want nothing in particular get."""
    return Isolation(level=found_here().level, hidden=_hidden(), readable=tuple(settings.READABLE))


def isolated(base: StepSettings, wanted: WantedIsolation) -> StepSettings | Failed:
    """Settings for a step that starts processes, as its project wants them; Failed where this machine cannot."""
    level = base.isolation.level
    if not reaches(level, wanted.minimum):
        message = f"The project wants steps isolated by {wanted.minimum} at least; this worker has {level}."
        return Failed(code=UNAVAILABLE, message=message, retryable=False)
    found = replace(base.isolation, network=wanted.network)
    if not found.is_satisfiable:
        message = f"The project wants steps without a network; the isolation level {level} has no such thing."
        return Failed(code=UNAVAILABLE, message=message, retryable=False)
    return replace(base, isolation=found)


def _hidden() -> tuple[Path, ...]:
    """An SQLite database with its journals, wherever it lies."""
    database = settings.DATABASES["default"]
    if not database["ENGINE"].endswith("sqlite"):
        return ()
    return tuple(Path(f"{database['NAME']}{suffix}") for suffix in ("", "-wal", "-shm", "-journal"))
