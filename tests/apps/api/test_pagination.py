"""Pages: each row once, in order, whatever the rows' times; cursors that can't be forged or moved."""

import base64
import string
from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from flowforge.api.pagination import PageParams, page_of, slice_of
from flowforge.core.errors import InvalidCursor
from flowforge.projects.models import ApiKey, Project
from tests import factories

MOMENT = datetime(2026, 1, 1, tzinfo=UTC)
SHAPES = {
    "models": lambda rows: rows,
    "values": lambda rows: rows.values("id", "created_at", "name"),
    "values_list": lambda rows: rows.values_list("name", "id", "created_at"),
    "named": lambda rows: rows.values_list("id", "created_at", named=True),
}


def make(offsets: list[int]) -> list[Project]:
    """Projects at so many seconds after MOMENT, newest first (ties by id, greatest first)."""
    rows = [Project(name=f"p{index}", created_at=MOMENT + timedelta(seconds=at)) for index, at in enumerate(offsets)]
    Project.objects.bulk_create(rows)
    return sorted(rows, key=lambda row: (row.created_at, row.pk), reverse=True)


def walk(queryset, limit: int) -> list:
    """All rows, page by page."""
    found, cursor = [], None
    while True:
        page = page_of(queryset, PageParams(listing=b"x", limit=limit, cursor=cursor))
        assert len(page.rows) <= limit
        found += page.rows
        cursor = page.meta["cursor"]
        assert page.meta["has_more"] == (cursor is not None)
        if cursor is None:
            return found
        assert len(page.rows) == limit


def id_of(row) -> object:
    if isinstance(row, dict):
        return row["id"]
    return row.id if hasattr(row, "id") else row[1]


@pytest.mark.parametrize("shape", SHAPES)
def test_it_works(db, shape):
    rows = make([5, 3, 3, 3, 1])
    assert [id_of(row) for row in walk(SHAPES[shape](Project.objects.all()), 2)] == [row.pk for row in rows]


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(offsets=st.lists(st.integers(0, 4), max_size=25), limit=st.integers(1, 30), shape=st.sampled_from([*SHAPES]))
def test_walking_gives_each_row_once_and_in_order(db, offsets, limit, shape):
    Project.objects.all().delete()
    rows = make(offsets)
    assert [id_of(row) for row in walk(SHAPES[shape](Project.objects.all()), limit)] == [row.pk for row in rows]


def test_rows_that_come_meanwhile_neither_shift_nor_repeat(db):
    rows = make([1, 2, 3, 4])
    first = page_of(Project.objects.all(), PageParams(listing=b"x", limit=2))
    make([9])
    second = page_of(Project.objects.all(), PageParams(listing=b"x", limit=2, cursor=first.meta["cursor"]))
    assert [*first.rows, *second.rows] == rows


def test_what_is_at_hand_is_paged_alike():
    items, first = list("abcde"), PageParams(listing=b"x", limit=2)
    found, cursor = [], None
    while not found or cursor:
        page = slice_of(items, PageParams(listing=b"x", limit=2, cursor=cursor))
        found, cursor = found + page.rows, page.meta["cursor"]
    assert found == items
    numbered = slice_of(items, PageParams(listing=b"x", limit=2, page=3))
    assert (numbered.rows, numbered.meta["total_pages"]) == (["e"], 3)
    with pytest.raises(InvalidCursor):
        slice_of(items, PageParams(listing=b"y", cursor=slice_of(items, first).meta["cursor"]))


def test_a_listing_may_go_upwards(db):
    rows = make([1, 2, 3])
    first = page_of(Project.objects.all(), PageParams(listing=b"x", limit=2), ascending=True)
    cursor = first.meta["cursor"]
    rest = page_of(Project.objects.all(), PageParams(listing=b"x", limit=2, cursor=cursor), ascending=True)
    assert [*first.rows, *rest.rows] == rows[::-1]


def test_another_key_may_order_the_listing(db):
    make([1, 2, 3])
    queryset = Project.objects.all()
    first = page_of(queryset, PageParams(listing=b"x", limit=2), key=("name", "id"))
    rest = page_of(queryset, PageParams(listing=b"x", limit=2, cursor=first.meta["cursor"]), key=("name", "id"))
    assert [row.name for row in (*first.rows, *rest.rows)] == ["p2", "p1", "p0"]


def test_it_rejects_a_cursor_of_another_listing(db):
    make([1, 2, 3])
    cursor = page_of(Project.objects.all(), PageParams(listing=b"x", limit=1)).meta["cursor"]
    for listing in (b"y", b"x ", b""):
        with pytest.raises(InvalidCursor):
            page_of(Project.objects.all(), PageParams(listing=listing, cursor=cursor))


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_it_rejects_a_cursor_that_was_changed(db, data):
    if not Project.objects.exists():
        make([1, 2])
    cursor = page_of(Project.objects.all(), PageParams(listing=b"x", limit=1)).meta["cursor"]
    at = data.draw(st.integers(0, len(cursor) - 1))
    letter = data.draw(st.sampled_from(string.ascii_letters + string.digits + "-_"))
    changed = cursor[:at] + letter + cursor[at + 1 :]
    if _bytes(changed) != _bytes(cursor):
        with pytest.raises(InvalidCursor):
            page_of(Project.objects.all(), PageParams(listing=b"x", cursor=changed))


@pytest.mark.parametrize("cursor", ["", "x", "=", "é", "%00", "AAAA", "A" * 200, "../..", "null"])
def test_it_rejects_what_was_never_a_cursor(db, cursor):
    with pytest.raises(InvalidCursor):
        page_of(Project.objects.all(), PageParams(listing=b"x", cursor=cursor))


def test_cursors_outlive_a_rotation_of_the_secret(db, settings):
    make([1, 2, 3])
    cursor = page_of(Project.objects.all(), PageParams(listing=b"x", limit=1)).meta["cursor"]
    settings.SECRET_KEY, settings.SECRET_KEY_FALLBACKS = "new" * 20, [settings.SECRET_KEY]
    assert len(page_of(Project.objects.all(), PageParams(listing=b"x", cursor=cursor)).rows) == 2
    settings.SECRET_KEY_FALLBACKS = []
    with pytest.raises(InvalidCursor):
        page_of(Project.objects.all(), PageParams(listing=b"x", cursor=cursor))


def test_a_deep_page_costs_what_the_first_costs(project):
    """The plan of a page is a search in the listing's index, on both databases; nothing is sorted or skipped."""
    factories.make_api_key(project=project)
    factories.make_api_key(project=project)
    queryset = ApiKey.objects.filter(project=project)
    cursor = page_of(queryset, PageParams(listing=b"x", limit=1)).meta["cursor"]
    with connection.cursor() as sql:
        if connection.vendor == "postgresql":
            sql.execute("SET LOCAL enable_seqscan = off")  # two rows are not worth an index to the planner
            sql.execute("SET LOCAL enable_bitmapscan = off")
            sql.execute("SET LOCAL enable_sort = off")
        plan = _plan(queryset, PageParams(listing=b"x", limit=1, cursor=cursor))
    assert "apikey_listing" in plan
    assert "SORT" not in plan.upper().replace("SORT_", "")
    assert "TEMP B-TREE" not in plan


# --- over HTTP ----------------------------------------------------------------------------------------------------


def test_a_listing_is_walked_by_its_cursor(writer):
    rows = make([1, 2, 3])
    first = writer.get("/v1/things", limit=2).expect(200)
    assert first.meta["has_more"] is True
    second = writer.get("/v1/things", limit=2, cursor=first.meta["cursor"]).expect(200)
    assert second.meta == {"cursor": None, "has_more": False}
    assert [row["id"] for row in (*first.data, *second.data)] == [str(row.pk) for row in rows]


def test_a_listing_is_walked_by_its_cursor_alone(writer):
    make([*range(25)])
    first = writer.get("/v1/things").expect(200)
    second = writer.get("/v1/things", cursor=first.meta["cursor"]).expect(200)
    other = writer.get("/v1/things", cursor=first.meta["cursor"], limit=2).expect(200)
    assert (len(first.data), len(second.data)) == (20, 5)
    assert other.data == second.data[:2]
    assert len({row["id"] for row in first.data + second.data}) == 25


def test_it_rejects_a_cursor_of_another_projects_listing(writer, caller):
    make([1, 2, 3])
    cursor = writer.get("/v1/things", limit=1).meta["cursor"]
    caller("workflows:read").get("/v1/things", cursor=cursor).expect(200)  # the same project
    stranger = caller("two workflows:read")
    assert stranger.get("/v1/things", cursor=cursor).expect(400).code == "invalid_cursor"


def test_a_cursor_is_bound_to_the_filters(writer):
    make([1, 2, 3])
    cursor = writer.get("/v1/things", limit=1, name="p").meta["cursor"]
    writer.get("/v1/things", limit=2, name="p", cursor=cursor).expect(200)
    assert writer.get("/v1/things", limit=1, name="p1", cursor=cursor).expect(400).code == "invalid_cursor"
    assert writer.get("/v1/things", limit=1, cursor=cursor).expect(400).code == "invalid_cursor"


def test_numbered_pages_tell_the_total(writer):
    rows = make([1, 2, 3, 4, 5])
    page = writer.get("/v1/things", page=2, limit=2).expect(200)
    assert page.meta == {"total": 5, "page": 2, "limit": 2, "total_pages": 3}
    assert [row["id"] for row in page.data] == [str(row.pk) for row in rows[2:4]]
    assert len(writer.get("/v1/things", page=3, limit=2).expect(200).data) == 1
    assert writer.get("/v1/things", page=4, limit=2).expect(400).code == "invalid_query"


def test_an_empty_listing_has_a_first_page(writer):
    assert writer.get("/v1/things", page=1).expect(200).meta == {"total": 0, "page": 1, "limit": 20, "total_pages": 0}
    assert writer.get("/v1/things").expect(200).data == []


def test_pages_hold_twenty_unless_told(writer):
    make([0] * 101)
    assert len(writer.get("/v1/things").data) == 20
    assert len(writer.get("/v1/things", limit=100).data) == 100


@pytest.mark.parametrize(
    "query",
    [
        {"limit": "0"},
        {"limit": "101"},
        {"limit": "-1"},
        {"limit": "x"},
        {"limit": ""},
        {"limit": "1.0"},
        {"limit": "٣"},
        {"limit": "9" * 5000},
        {"page": "0"},
        {"page": "2"},
        {"page": "-1"},
        {"page": "9" * 30},
        {"page": "1", "cursor": "x"},
        {"limit": ["1", "2"]},
    ],
)
def test_it_rejects_positions_out_of_range(writer, query):
    assert writer.get("/v1/things", **query).expect(400).code == "invalid_query"


@pytest.mark.parametrize(
    "query", [{"nmae": "x"}, {"name": ["a", "b"]}, {"least": "x"}, {"name": "a\x00"}, {"how": "x"}]
)
def test_it_rejects_filters_that_are_unknown_doubled_or_of_the_wrong_type(writer, query):
    answer = writer.get("/v1/things", **query).expect(400)
    assert answer.code == "invalid_query"
    assert next(iter(query)) in answer.json["detail"]


def test_it_rejects_unknown_parameters_beyond_lists(writer):
    assert writer.post("/v1/things", {"name": "a"}, dry="1").expect(400).code == "invalid_query"
    assert writer.get("/v1/things/me", x="1").expect(400).code == "invalid_query"


def _bytes(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def _plan(queryset, params: PageParams) -> str:
    """The plan of the query behind a page."""
    from django.test.utils import CaptureQueriesContext

    with CaptureQueriesContext(connection) as queries:
        page_of(queryset, params)
    explain = "EXPLAIN " if connection.vendor == "postgresql" else "EXPLAIN QUERY PLAN "
    with connection.cursor() as sql:
        sql.execute(explain + queries[-1]["sql"].replace("%", "%%"))
        return "\n".join(str(row) for row in sql.fetchall())
