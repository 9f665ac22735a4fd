"""Filters on moments: ISO 8601 text or Unix seconds in, text or seconds out."""

import re
from calendar import monthrange
from datetime import UTC, datetime, timedelta, tzinfo
from zoneinfo import ZoneInfo

from flowforge.core.clock import isoformat
from flowforge.kernel.expressions.budget import Budget
from flowforge.kernel.expressions.errors import evaluation_error
from flowforge.kernel.expressions.filters.arguments import numeric, short_text
from flowforge.kernel.expressions.registry import expression_filter
from flowforge.kernel.expressions.values import Value, kind

_STEPS = 10  # what reading and writing a moment costs
# The C library knows more, among them widths that take memory (%999999d) and the host's own time zone (%s)
_FORBIDDEN_DIRECTIVE = re.compile(r"%(?![aAbBdFGHIjmMpSTuUVwWyYzZf%])")


@expression_filter("date")
def date(
    budget: Budget,
    value: Value,
    format: Value = None,
    *,
    parse: Value = None,
    timezone: Value = "UTC",
    months: Value = 0,
    weeks: Value = 0,
    days: Value = 0,
    hours: Value = 0,
    minutes: Value = 0,
    seconds: Value = 0,
) -> str:
    """A moment, moved and written: by `format` (strftime) in `timezone`, or as the API writes moments.

    `parse` reads text that isn't ISO 8601 (strptime). Months are added first, the last day of a month stays within
    its month; then the rest, as elapsed time. A moment that names no zone is in `timezone`.
    """
    budget.spend(_STEPS)
    zone = _zone(timezone)
    try:
        moment = _add_months(_moment(value, parse, zone).astimezone(zone), _amount(months, "months"))
        moved = moment.astimezone(UTC) + timedelta(
            weeks=_amount(weeks, "weeks"),
            days=_amount(days, "days"),
            hours=_amount(hours, "hours"),
            minutes=_amount(minutes, "minutes"),
            seconds=_amount(seconds, "seconds"),
        )
        if format is None:
            return str(isoformat(moved))
        return moved.astimezone(zone).strftime(_directives(format, "the format"))
    except OverflowError:
        raise evaluation_error("the moment is beyond the years 1 to 9999") from None


@expression_filter("timestamp")
def timestamp(budget: Budget, value: Value) -> float:
    """Seconds since 1970-01-01T00:00:00Z; the difference of two is the time between them."""
    budget.spend(_STEPS)
    return _moment(value, None, UTC).timestamp()


def _moment(value: Value, pattern: Value, zone: tzinfo) -> datetime:
    try:
        if isinstance(value, str):
            found = _read(short_text(value, "the moment"), pattern)
            return found if found.tzinfo else found.replace(tzinfo=zone)
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            return datetime.fromtimestamp(value, UTC)
    except (ValueError, OverflowError, OSError):
        raise evaluation_error(f"{str(value)[:40]!r} is no moment that could be read") from None
    raise evaluation_error(f"{kind(value)} is no moment")


def _read(written: str, pattern: Value) -> datetime:
    if pattern is None:
        return datetime.fromisoformat(written)
    return datetime.strptime(written, _directives(pattern, "'parse'"))  # noqa: DTZ007 -- the caller adds the zone


def _directives(value: Value, what: str) -> str:
    pattern = short_text(value, what)
    bad = _FORBIDDEN_DIRECTIVE.search(pattern.replace("%%", "  "))
    if bad:
        raise evaluation_error(f"{what} holds an unknown directive {pattern[bad.start() : bad.start() + 2]!r}")
    return pattern


def _zone(name: Value) -> tzinfo:
    try:
        return UTC if name == "UTC" else ZoneInfo(short_text(name, "the time zone"))
    except (KeyError, ValueError, OSError):  # unknown, malformed, the name of a directory
        raise evaluation_error(f"there is no time zone {str(name)[:40]!r}") from None


def _amount(value: Value, what: str) -> int | float:
    amount = numeric(value, what)
    if abs(amount) > 1e12:
        raise OverflowError(what)
    return amount


def _add_months(moment: datetime, count: int | float) -> datetime:
    if count != int(count):
        raise evaluation_error("months have to be a whole number")
    year, month = divmod(moment.year * 12 + moment.month - 1 + int(count), 12)
    if not 1 <= year <= 9999:
        raise OverflowError(year)
    return moment.replace(year=year, month=month + 1, day=min(moment.day, monthrange(year, month + 1)[1]))
