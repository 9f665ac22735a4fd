"""The names of the isolation levels, and what is wanted of one (docs/isolation.md). How they are done: isolation.py."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal, get_args

Level = Literal["limits", "namespaces", "bubblewrap"]
LEVELS: Final[tuple[Level, ...]] = get_args(Level)  # the weakest first
AUTOMATIC: Final = "auto"


@dataclass(frozen=True, kw_only=True, slots=True)
class Isolation:
    """How the processes of a step are isolated."""

    level: Level = "limits"
    network: bool = True
    hidden: Sequence[Path] = ()  # beside FLOWFORGE_HOME, where there is a file system of one's own
    readable: Sequence[Path] = ()  # beside the system, in bubblewrap

    @property
    def is_satisfiable(self) -> bool:
        """Limits keep nobody from the network."""
        return self.network or self.level != "limits"


LIMITS: Final = Isolation()


def reaches(level: str, minimum: str) -> bool:
    """Whether `level` is as strong as `minimum`, or stronger."""
    return level in LEVELS and minimum in LEVELS and LEVELS.index(level) >= LEVELS.index(minimum)
