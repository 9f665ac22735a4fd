"""A report that is added up by SQL, on the orders that ship as samples."""

import csv
import sqlite3
from collections import defaultdict
from contextlib import closing
from pathlib import Path

import duckdb
import pytest

from tests.engine.conftest import statuses
from tests.engine.gallery.conftest import Gallery

pytestmark = [pytest.mark.django_db, pytest.mark.processes]


def expected(source: Path) -> dict[tuple[str, str], tuple[int, float]]:
    """(month, region) -> orders and revenue, added up by hand."""
    found: dict[tuple[str, str], list[float]] = defaultdict(list)
    with source.open(newline="") as rows:
        for row in csv.DictReader(rows):
            found[row["day"][:7], row["region"]].append(int(row["quantity"]) * float(row["price"]))
    return {key: (len(amounts), round(sum(amounts), 2)) for key, amounts in found.items()}


def test_it_works(gallery: Gallery, files: Path) -> None:
    run = gallery.play("nightly-report")
    assert run.status == "completed", run.error
    by_hand = expected(files / "samples" / "orders.csv")
    assert (run.outputs["rows_read"], run.outputs["rows"]) == (240, len(by_hand))
    with duckdb.connect() as reader:
        rows = reader.execute("FROM read_parquet($1)", [str(files / run.outputs["file"])]).fetchall()
    assert {(month, region): (orders, revenue) for month, region, orders, revenue in rows} == by_hand
    with closing(sqlite3.connect(files / "reports" / "reports.sqlite3")) as table:
        assert sorted(table.execute("SELECT month, region, orders, revenue FROM revenue")) == sorted(rows)
    assert gallery.told() == [("report.ready", {"report": "revenue", "rows": len(by_hand)})]


def test_a_report_is_replaced(gallery: Gallery, files: Path) -> None:
    for _ in range(2):
        run = gallery.play("nightly-report", source_url="file://samples/orders-with-faults.csv", name="trial")
        assert run.status == "completed", run.error
    with closing(sqlite3.connect(files / "reports" / "reports.sqlite3")) as table:
        [(rows, orders)] = table.execute("SELECT count(*), sum(orders) FROM trial")
    assert (rows, orders) == (run.outputs["rows"], 56)  # 60 less those without a customer, a quantity or a price


def test_a_day_without_orders(gallery: Gallery, files: Path) -> None:
    (files / "samples" / "none.csv").write_text("order,day,customer,region,quantity,price\n")
    run = gallery.play("nightly-report", source_url="file://samples/none.csv")
    assert run.status == "completed", run.error
    assert run.outputs["rows"] == 0
    assert statuses(run)["publish"] == "skipped"
    assert [name for name, _ in gallery.told()] == ["report.empty"]
