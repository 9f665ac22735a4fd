"""When a worker is late."""

from datetime import timedelta
from typing import Final

BEAT_SECONDS: Final = 5.0
ALIVE_FOR: Final = timedelta(seconds=3 * BEAT_SECONDS)  # without a heartbeat it is taken to be dead from then on
SILENT_AFTER: Final = timedelta(seconds=30)  # its pool hears nothing although there is work, or its sweep stands still
KEPT_FOR: Final = timedelta(hours=24)  # rows of the dead, for people to look at
MAX_SHOWN: Final = 1000  # rows that one look at the fleet reads
