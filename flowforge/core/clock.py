"""The one place that reads the time of day, so that tests can set it."""

from datetime import UTC, datetime

ISO_FORMAT = "%Y-%m-%dT%H:%M:%S.%fZ"


def now() -> datetime:
    """The current moment, aware, UTC."""
    return datetime.now(UTC)


def isoformat(moment: datetime | None) -> str | None:
    """`2026-01-01T12:00:00.123456Z`: always UTC, always six decimals."""
    if moment is None:
        return None
    return moment.astimezone(UTC).strftime(ISO_FORMAT)
