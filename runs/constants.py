"""Numbers and words of runs that clients may rely on (docs/api.md, section 6)."""

from datetime import timedelta
from typing import Final

MAX_BATCH: Final = 1000  # runs that one call starts, in one transaction
MAX_INLINE_STEPS: Final = 1000  # a run of more leaves `steps` out of its detail and pages them
MAX_MERGED_PROJECTS: Final = 20  # a listing over more is sorted by the database rather than merged here
NO_ITEM: Final = -1  # `index` of a step that is not an item of a `map`
LOG_TAIL: Final = 20  # newest log lines that a step shows
MAX_WAIT_SECONDS: Final = 60.0
RING_BEFORE: Final = timedelta(seconds=10)  # a run that is due so soon is looked at now, and then begun to the moment
DEDUPE_WINDOW: Final = timedelta(hours=24)

MAX_EVENTS: Final = 1000  # of a run's history, a page
DEFAULT_EVENTS: Final = 100

MAX_DEDUPE_KEY_LENGTH: Final = 255
MAX_REASON_LENGTH: Final = 1000  # of a forced result
MAX_STARTED_SHOWN: Final = 100  # of the runs that an event has started
MAX_UNCLEAR_SHOWN: Final = 20  # of the steps whose `match` an event could not be held against
MAX_QUERY_LENGTH: Final = 200
INT32: Final = (-(2**31), 2**31 - 1)  # what an integer column holds
