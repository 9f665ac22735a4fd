"""Values as people read them."""

from datetime import UTC, datetime, timedelta, timezone

import pytest

from flowforge.kernel.definition import Definition, Node
from flowforge.staff import shown

AT = datetime(2026, 1, 2, 3, 4, 5, 678_000, tzinfo=UTC)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 ms"), (0.0124, "12 ms"), (1, "1 s"), (3.57, "3.5 s"), (59.99, "59.9 s"), (60, "1 min"),
        (125.9, "2 min 5 s"), (3600, "1 h"), (21_780, "6 h 3 min"),
        (86_400 * 3 + 4 * 3600 + 59, "3 d 4 h"), (None, "–"), (-1, "0 ms"),
    ],
)  # fmt: skip
def test_it_works(seconds: float | None, text: str) -> None:
    assert shown.lasted(seconds) == text


def test_it_rejects_markup_in_documents() -> None:
    assert shown.code_block("<b>") == '<pre class="ff-code">&lt;b&gt;</pre>'
    assert shown.document({"a": "<b>"}) == '{\n  "a": "<b>"\n}'


@pytest.mark.parametrize("value", [AT, AT.isoformat(), AT.astimezone(timezone(timedelta(hours=5)))])
def test_moments_are_utc_to_the_second(value: datetime | str) -> None:
    assert ">2026-01-02 03:04:05</time>" in shown.moment(value)
    assert 'title="2026-01-02T03:04:05.678000+00:00"' in shown.moment(value)
    assert ">2026-01-02 03:04:05.678</time>" in shown.moment(value, digits=3)
    assert shown.moment(None) == "–"


def test_long_documents_are_cut() -> None:
    text = shown.shortened("x" * (shown.MAX_TEXT_LENGTH + 7))
    assert text.startswith("x" * shown.MAX_TEXT_LENGTH)
    assert "7 more characters" in text
    assert shown.shortened("short") == "short"


def test_large_graphs_are_not_drawn() -> None:
    def graph(count: int) -> Definition:
        nodes = tuple(Node(id=f"n{place}", position=place, type="transform") for place in range(count))
        return Definition(nodes=nodes, edges=())

    small = shown.picture(graph(2), {"n0": "failed"})
    assert small is not None
    assert "s-failed" in small
    assert ".dark{" in small
    assert "prefers-color-scheme" not in small
    assert shown.picture(graph(shown.MAX_PICTURE_NODES + 1)) is None
