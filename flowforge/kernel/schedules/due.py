"""A due time: the nominal moment of a tick."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

PLAIN: Final = ""
AFTER_GAP: Final = "gap"  # its local time was skipped: it comes at the first moment after the gap
FIRST_OF_TWO: Final = "first"  # its local time comes twice that day, this is the first
SECOND_OF_TWO: Final = "second"


@dataclass(frozen=True, slots=True)
class Due:
    """One due time of a schedule."""

    at: datetime  # UTC
    mark: str = PLAIN  # what daylight saving has done to its local time
