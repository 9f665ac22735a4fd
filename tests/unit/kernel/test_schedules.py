"""When schedules are due: cron in every zone over its switches, intervals, once, bounds and jitter."""

from datetime import UTC, datetime, timedelta
from itertools import islice, pairwise, takewhile
from zoneinfo import ZoneInfo, available_timezones

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flowforge.kernel.schedules import Cron, Interval, Once, Recurrence
from flowforge.kernel.schedules.zones import moment_of, switches, zone_of

ZONES = sorted(available_timezones())
YEARS = range(2026, 2036)
HOUR = timedelta(hours=1)
START = datetime(2027, 1, 1, tzinfo=UTC)


def at(text: str) -> datetime:
    found = datetime.fromisoformat(text)
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def local(expression: str, zone: str, after: str, count: int) -> list[str]:
    """The next due times as clocks show them, with what daylight saving has done."""
    cron = Cron.parse(expression, zone)
    found = islice(cron.dues(at(after)), count)
    return [f"{due.at.astimezone(cron.zone):%d %H:%M%z}{due.mark and ' ' + due.mark}" for due in found]


def test_it_works() -> None:
    assert local("30 6 * * MON-FRI", "Europe/Berlin", "2026-01-02T05:30:00", 3) == [
        "05 06:30+0100",
        "06 06:30+0100",
        "07 06:30+0100",
    ]


@pytest.mark.parametrize(
    ("expression", "zone", "after", "expected"),
    [
        # a local time that is skipped: the first moment after the gap
        ("30 2 * * *", "Europe/Berlin", "2026-03-28T12:00", ["29 03:00+0200 gap", "30 02:30+0200"]),
        # several of them: once
        ("0,30 2 * * *", "Europe/Berlin", "2026-03-28T12:00", ["29 03:00+0200 gap", "30 02:00+0200"]),
        ("*/20 2 * * *", "Europe/Berlin", "2026-03-28T12:00", ["29 03:00+0200 gap", "30 02:00+0200"]),
        # one that meets a due time right after the gap: once
        ("30 2,3 * * *", "Europe/Berlin", "2026-03-28T12:00", ["29 03:00+0200 gap", "29 03:30+0200"]),
        ("0 2,3 * * *", "Europe/Berlin", "2026-03-28T12:00", ["29 03:00+0200 gap", "30 02:00+0200"]),
        # an open hour goes on with the next that there is
        ("15 * * * *", "Europe/Berlin", "2026-03-29T00:00", ["29 01:15+0100", "29 03:15+0200"]),
        # a local time that comes twice: the first
        ("30 1 * * *", "America/New_York", "2026-10-31T12:00", ["01 01:30-0400 first", "02 01:30-0500"]),
        # but every so often is every so often
        (
            "*/30 1 * * *",
            "America/New_York",
            "2026-11-01T00:00",
            ["01 01:00-0400 first", "01 01:30-0400 first", "01 01:00-0500 second", "01 01:30-0500 second"],
        ),
        ("0 * * * *", "Europe/Berlin", "2026-10-25T00:00", ["25 02:00+0100 second", "25 03:00+0100"]),
        # a switch by half an hour, and one that skips a whole day
        ("15 2 * * *", "Australia/Lord_Howe", "2026-10-03T00:00", ["04 02:30+1100 gap", "05 02:15+1100"]),
        ("0 12 * * *", "Pacific/Apia", "2011-12-30T00:00", ["31 00:00+1400 gap", "31 12:00+1400"]),
    ],
)
def test_daylight_saving(expression: str, zone: str, after: str, expected: list[str]) -> None:
    assert local(expression, zone, after, len(expected)) == expected


@pytest.mark.parametrize(
    ("nickname", "plain"),
    [
        ("@yearly", "0 0 1 1 *"),
        ("@annually", "0 0 1 1 *"),
        ("@monthly", "0 0 1 * *"),
        ("@weekly", "0 0 * * SUN"),
        ("@DAILY", "0 0 * * *"),
        ("@midnight", "0 0 * * *"),
        ("@hourly", "0 * * * *"),
    ],
)
def test_nicknames(nickname: str, plain: str) -> None:
    begin = at("2026-01-01T00:00")
    assert list(islice(Cron.parse(nickname).dues(begin), 5)) == list(islice(Cron.parse(plain).dues(begin), 5))


@pytest.mark.parametrize(
    ("expression", "word"),
    [
        ("", "five fields"),
        ("* * * *", "five fields"),
        ("0 * * * * *", "five fields"),  # cronsim's sixth is seconds
        ("@reboot", "none of"),
        ("@every 5m", "none of"),
        ("60 * * * *", "minute"),
        ("* 24 * * *", "hour"),
        ("* * 0 * *", "day-of-month"),
        ("* * * 13 *", "month"),
        ("* * * * 8", "day-of-week"),
        ("*/0 * * * *", "minute"),
        ("0 0 30 FEB *", "day-of-month"),
        ("0 0 * * MON#2/2", "cron"),
        ("x" * 300, "characters"),
    ],
)
def test_it_rejects_what_is_no_pattern(expression: str, word: str) -> None:
    with pytest.raises(ValueError, match=word):
        Cron.parse(expression)


@pytest.mark.parametrize("name", ["", "Mars/Olympus", "europe/berlin/x", "../../etc/passwd", "/etc/localtime", "CEST"])
def test_it_rejects_what_is_no_zone(name: str) -> None:
    with pytest.raises(ValueError, match="no time zone"):
        zone_of(name)


@given(text=st.text(alphabet="0123456789*/,-#LWMONJANSU @", max_size=25))
def test_whatever_is_written_is_a_pattern_or_refused(text: str) -> None:
    try:
        cron = Cron.parse(text)
    except ValueError:
        return
    assert next(cron.dues(at("2026-01-01T00:00")), None) is not None


# --- every zone, ten years ----------------------------------------------------------------------------------------

PATTERNS = (  # (expression, whether it means times of day rather than every so often)
    ("30 2 * * *", True),
    ("0 0 * * *", True),
    ("15,45 1-2 * * *", True),
    ("0 0,1,2,3 * * *", True),
    ("*/30 0-3 * * *", False),
    ("*/20 * * * *", False),
    ("0 */2 * * *", False),
)


STEP = timedelta(minutes=5)  # all switches and all patterns fall on its multiples


def unlike() -> list[str]:
    """One zone of each kind: many names share their switches."""
    kinds = {(START.astimezone(ZoneInfo(name)).utcoffset(), all_switches(name)): name for name in ZONES}
    return sorted(kinds.values())


def all_switches(name: str) -> tuple[datetime, ...]:
    return tuple(moment for year in YEARS for moment, _ in switches(ZoneInfo(name), year))


def around_switches(name: str) -> list[tuple[datetime, datetime]]:
    """Some hours around each switch of ten years; without any, those around one new year."""
    return [(moment - 5 * HOUR, moment + 5 * HOUR) for moment in all_switches(name) or [START]]


def dues_between(expression: str, name: str, begin: datetime, end: datetime) -> list[datetime]:
    return [due.at for due in takewhile(lambda due: due.at < end, Cron.parse(expression, name).dues(begin))]


def test_no_zone_ever_doubles_or_loses_one() -> None:
    """For each zone, each of its switches in ten years and each pattern: what is due is what the rules say, once."""
    zones = unlike()
    assert len(zones) > 60
    for name in zones:
        for begin, end in around_switches(name):
            walls = [begin + n * STEP for n in range(int((end - begin) / STEP))]
            clocks = [(moment, moment.astimezone(ZoneInfo(name)).replace(tzinfo=None)) for moment in walls]
            for expression, is_fixed in PATTERNS:
                dues = dues_between(expression, name, begin, end)
                assert dues == by_hand(clocks, expression, is_fixed), (name, expression, begin)


def by_hand(clocks: list[tuple[datetime, datetime]], expression: str, is_fixed: bool) -> list[datetime]:
    """The rules of docs/schedules.md, step by step: slow, and written without a look at the implementation."""
    found, (_, previous), seen = [], clocks[0], {clocks[0][1]}
    open_hour = expression.split()[1].startswith("*")
    for moment, wall in clocks[1:]:
        due = matches(expression, wall) and not (is_fixed and wall in seen)
        skipped = [previous + n * STEP for n in range(1, int((wall - previous) / STEP))]
        if due or (not open_hour and any(matches(expression, lost) for lost in skipped)):
            found.append(moment)
        seen.add(wall)
        previous = wall
    return found


def matches(expression: str, wall: datetime) -> bool:
    minute, hour = expression.split()[:2]
    return wall.minute in numbers(minute, 60) and wall.hour in numbers(hour, 24)


def numbers(field: str, size: int) -> set[int]:
    found: set[int] = set()
    for part in field.split(","):
        span, _, step = part.partition("/")
        first, _, last = span.partition("-")
        values = range(size) if span == "*" else range(int(first), int(last or first) + 1)
        found |= set(values[:: int(step or 1)])
    return found


@settings(max_examples=60)
@given(
    zone=st.sampled_from(ZONES),
    expression=st.sampled_from([expression for expression, _ in PATTERNS]),
    after=st.datetimes(at("2026-01-01T00:00").replace(tzinfo=None), at("2036-01-01T00:00").replace(tzinfo=None)),
)
def test_where_one_begins_to_look_changes_nothing(zone: str, expression: str, after: datetime) -> None:
    """The next after each is the one after it: a cursor that is stored and taken up again misses nothing."""
    cron = Cron.parse(expression, zone)
    dues = [due.at for due in islice(cron.dues(after.replace(tzinfo=UTC)), 12)]
    for one, following in pairwise(dues):
        assert next(cron.dues(one)).at == following
        assert next(cron.dues(following - timedelta(microseconds=1))).at == following


def test_a_rare_pattern_is_found() -> None:
    assert next(Cron.parse("0 0 29 2 *").dues(at("2096-03-01T00:00"))).at == at("2104-02-29T00:00")
    assert next(Cron.parse("0 0 * 2 MON#5").dues(at("2026-01-01T00:00"))).at == at("2044-02-29T00:00")


# --- the rest -----------------------------------------------------------------------------------------------------


def test_an_interval_counts_from_its_anchor() -> None:
    found = Interval(every=timedelta(seconds=90), anchor=at("2026-01-01T00:00:00"))
    assert [due.at for due in islice(found.dues(at("2026-01-01T00:01:30")), 2)] == [
        at("2026-01-01T00:03:00"),
        at("2026-01-01T00:04:30"),
    ]
    assert next(found.dues(at("2025-12-31T23:59:59"))).at == at("2026-01-01T00:00:00")
    assert next(found.dues(at("2025-12-31T23:57:00"))).at == at("2025-12-31T23:58:30")  # before it as well: backfills


def test_once_is_due_once() -> None:
    once = Once(at=at("2026-01-01T00:00"))
    assert [due.at for due in once.dues(at("2025-01-01T00:00"))] == [at("2026-01-01T00:00")]
    assert list(once.dues(at("2026-01-01T00:00"))) == []


def test_bounds_are_inclusive() -> None:
    daily = Recurrence(pattern=Cron.parse("@daily"), starts_at=at("2026-01-02T00:00"), ends_at=at("2026-01-04T00:00"))
    assert [due.at.day for due in daily.dues(at("2025-01-01T00:00"))] == [2, 3, 4]
    assert daily.next_after(at("2026-01-04T00:00")) is None


@given(seconds=st.integers(1, 3600), key=st.uuids(), minute=st.integers(0, 10_000))
def test_jitter_is_the_same_for_everyone(seconds: int, key: object, minute: int) -> None:
    due_at = at("2026-01-01T00:00") + minute * timedelta(minutes=1)
    makers = [
        Recurrence(pattern=Cron.parse("* * * * *"), jitter=timedelta(seconds=seconds), key=str(key)) for _ in range(2)
    ]
    first, second = (maker.fires_at(due_at) for maker in makers)
    assert first == second
    assert due_at <= first < due_at + timedelta(seconds=seconds)


def test_jitter_differs_between_schedules() -> None:
    due_at = at("2026-01-01T00:00")
    minute = timedelta(minutes=1)
    moments = {Recurrence(pattern=Once(at=due_at), jitter=minute, key=str(key)).fires_at(due_at) for key in range(100)}
    assert len(moments) == 100


@pytest.mark.parametrize(
    ("wall", "moment"),
    [
        ("2026-01-01T12:00", "2026-01-01T11:00"),
        ("2026-03-29T02:30", "2026-03-29T01:00"),  # skipped: right after the gap
        ("2026-10-25T02:30", "2026-10-25T00:30"),  # twice: the first
    ],
)
def test_local_moments(wall: str, moment: str) -> None:
    assert moment_of(zone_of("Europe/Berlin"), datetime.fromisoformat(wall)) == at(moment)
