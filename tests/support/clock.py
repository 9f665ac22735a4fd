"""A clock that stands still until a test moves it. Threads, timeouts and libraries keep the real one."""

from datetime import UTC, datetime, timedelta, tzinfo

START = datetime(2026, 1, 1, 12, tzinfo=UTC)


class FrozenClock:
    """Stands in for `datetime` within flowforge.core.clock, the one place that reads the time of day."""

    def __init__(self, moment: datetime = START) -> None:
        self.moment = moment

    def now(self, zone: tzinfo | None = None) -> datetime:
        return self.moment.astimezone(zone)

    def advance(self, seconds: float) -> datetime:
        """Go on by that many seconds (back, if negative); gives the new moment."""
        self.moment += timedelta(seconds=seconds)
        return self.moment
