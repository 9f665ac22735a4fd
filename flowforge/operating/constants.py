"""What can be held, and by which id."""

import uuid
from typing import Final, Literal

Scope = Literal["engine", "project", "workflow", "maintenance"]

SCOPES: Final = ("engine", "project", "workflow", "maintenance")
ENGINE_ID: Final = uuid.UUID(int=0)  # of a freeze of everything
MAINTENANCE_ID: Final = uuid.UUID(int=1)  # of `engine pause`

FROZEN: Final = "frozen"  # nothing begins
THAWING: Final = "thawing"  # what was held back begins, at its pace
THAWED: Final = "thawed"  # nothing is held any more; the row stays a while for who was on the way
STATUSES: Final = (FROZEN, THAWING, THAWED)

MAX_REASON_LENGTH: Final = 1000
PAUSED_RETRY_SECONDS: Final = 30  # when to call again, as an answer of a paused engine says
