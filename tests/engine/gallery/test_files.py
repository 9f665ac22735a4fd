"""What works on files and small databases: quality, backups, clean-ups, invoices, orders, checksums."""

import json
import os
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from runs.models import RunEvent
from tests.engine.conftest import statuses, step
from tests.engine.gallery.conftest import Gallery

pytestmark = pytest.mark.django_db


def rows(database: Path, sql: str) -> list[Any]:
    with closing(sqlite3.connect(database)) as found:
        return found.execute(sql).fetchall()


# --- data-quality-gate, note-failure ------------------------------------------------------------------------------


def test_it_works(gallery: Gallery) -> None:
    run = gallery.play("data-quality-gate")
    assert run.status == "completed", run.error
    assert run.outputs == {"rows": 240, "bad": 0}


def test_bad_data_fails_with_evidence_that_is_written_down(gallery: Gallery, files: Path) -> None:
    run = gallery.play("data-quality-gate", file="samples/orders-with-faults.csv")
    assert (run.status, run.error["step"]) == ("failed", "closed")
    assert "5 of 60 rows break a rule, 1.00% may: line 8: quantity is '0', not above 0" in run.error["message"]
    found = step(run, "check").output
    assert (found["rows"], found["bad"]) == (60, 5)
    assert [fault["line"] for fault in found["faults"]] == [8, 19, 25, 33, 46]
    noted = json.loads((files / "failures.ndjson").read_text())
    assert (noted["run_id"], noted["workflow"], noted["step"]) == (str(run.pk), "data-quality-gate", "closed")
    assert noted["evidence"] == found["faults"]
    assert [name for name, _ in gallery.told()] == ["failure.noted"]


def test_a_few_bad_rows_may_be_allowed(gallery: Gallery) -> None:
    run = gallery.play("data-quality-gate", file="samples/orders-with-faults.csv", max_bad_share=0.1)
    assert (run.status, run.outputs) == ("completed", {"rows": 60, "bad": 5})


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        ({"file": "../../secret"}, "is not below"),
        ({"unique": "number"}, "the file has no column number"),
        ({"file": "absent.csv"}, "No such file"),
    ],
)
def test_it_rejects_files_that_it_cannot_check(gallery: Gallery, inputs: dict[str, Any], message: str) -> None:
    run = gallery.play("data-quality-gate", **inputs)
    assert run.status == "failed"
    assert message in run.error["message"]


def test_a_failure_by_itself(gallery: Gallery, files: Path) -> None:
    run = gallery.play("note-failure", run_id="r", error={"code": "timeout", "message": "late"})
    assert run.status == "completed", run.error
    assert json.loads((files / "failures.ndjson").read_text())["code"] == run.outputs["code"] == "timeout"


# --- sqlite-backup ------------------------------------------------------------------------------------------------


def test_a_backup_goes_on_after_a_broken_database(gallery: Gallery, files: Path) -> None:
    gallery.play("create-account")
    (files / "broken.db").write_bytes(b"SQLite format 3\0" + b"x" * 200)
    (files / "text.db").write_text("no database at all")
    for number in range(3):
        run = gallery.play("sqlite-backup", keep=2)
        assert run.status == "completed", run.error
        assert (len(run.outputs["copies"]), run.outputs["failed"], len(run.outputs["removed"])) == (1, 1, number // 2)
    kept = sorted(path for path in (files / "backups").iterdir() if path.suffix != ".part")
    assert len(kept) == 2
    assert rows(kept[-1], "SELECT customer FROM accounts") == [("Analytical Society",)]


# --- folder-cleanup -----------------------------------------------------------------------------------------------


@pytest.fixture
def old(files: Path) -> list[Path]:
    """Three files from 2001, and a new one beside them."""
    folder = files / "logs"
    folder.mkdir()
    (folder / "new.log").write_text("new")
    found = [folder / f"{name}.log" for name in "abc"]
    for path in found:
        path.write_text("old")
        os.utime(path, (1e9, 1e9))
    return found


def test_a_dry_run_removes_nothing(gallery: Gallery, old: list[Path]) -> None:
    run = gallery.play("folder-cleanup", folder="logs")
    assert run.status == "completed", run.error
    assert run.outputs == {
        "files": ["logs/a.log", "logs/b.log", "logs/c.log"],
        "bytes": 9,
        "removed": 0,
        "would_remove": 3,
    }
    assert all(path.exists() for path in old)


def test_old_files_go(gallery: Gallery, old: list[Path]) -> None:
    run = gallery.play("folder-cleanup", folder="logs", dry_run=False)
    assert (run.status, run.outputs["removed"]) == ("completed", 3)
    assert [path.name for path in old[0].parent.iterdir()] == ["new.log"]
    run = gallery.play("folder-cleanup", folder="logs", dry_run=False)
    assert (run.outputs["files"], run.outputs["removed"], statuses(run)["kept"]) == ([], 0, "completed")


@pytest.mark.parametrize(("decision", "removed"), [("approved", 3), ("rejected", 0)])
def test_many_files_need_a_person(gallery: Gallery, old: list[Path], decision: str, removed: int) -> None:
    run = gallery.play("folder-cleanup", folder="logs", dry_run=False, ask_above_files=2)
    assert run.status == "waiting"
    assert "logs/b.log" in step(run, "ask").inputs["instructions"]
    run = gallery.decide(run, "ask", decision)
    assert (run.status, run.outputs["removed"]) == ("completed", removed)
    assert sum(path.exists() for path in old) == 3 - removed


def test_it_rejects_a_folder_outside(gallery: Gallery) -> None:
    run = gallery.play("folder-cleanup", folder="..", dry_run=False, older_than_days=0)
    assert run.status == "failed"
    assert "is not below" in run.error["message"]


# --- invoice-intake -----------------------------------------------------------------------------------------------


def test_an_invoice_is_booked_once(gallery: Gallery, files: Path) -> None:
    first, again = gallery.play("invoice-intake"), gallery.play("invoice-intake")
    assert first.outputs == {"supplier": "Brass and Cogs", "number": "2026-117", "state": "payable"}
    assert again.outputs["state"] == "repeated"
    assert rows(files / "ledger.sqlite3", "SELECT supplier, total FROM invoices") == [("Brass and Cogs", 120.0)]
    assert [name for name, _ in gallery.told()] == ["invoice.payable"]


def test_an_invoice_that_does_not_add_up(gallery: Gallery, files: Path) -> None:
    run = gallery.play("invoice-intake", total=121)
    assert (run.status, run.outputs["state"]) == ("completed", "returned")
    assert gallery.told()[0][1] | {"added": 120.0, "total": 121} == gallery.told()[0][1]
    assert not (files / "ledger.sqlite3").exists()


@pytest.mark.parametrize(("decision", "state"), [("approved", "payable"), ("rejected", "refused")])
def test_a_large_invoice_needs_a_person(gallery: Gallery, decision: str, state: str) -> None:
    run = gallery.play("invoice-intake", pay_up_to=100)
    assert run.status == "waiting"
    assert gallery.decide(run, "ask", decision).outputs["state"] == state


# --- order-saga ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fail_at", "state", "undone", "balance"),
    [
        ("nowhere", "shipped", [False, False], {"stock": -2, "money": 39.8, "shipped": 2}),
        ("charging", "cancelled", [False, True], {"stock": 0}),
        ("shipping", "cancelled", [True, True], {"stock": 0, "money": 0}),
    ],
)
def test_an_order_that_takes_back_what_it_did(
    gallery: Gallery, files: Path, fail_at: str, state: str, undone: list[bool], balance: dict[str, float]
) -> None:
    run = gallery.play("order-saga", fail_at=fail_at)
    assert run.status == "completed", run.error
    assert run.outputs == {"order": "B-1", "state": state, "undone": undone}
    found = rows(files / "orders.sqlite3", "SELECT account, sum(change) FROM entries GROUP BY 1")
    assert dict(found) == balance
    assert ("order.cancelled" in dict(gallery.told())) is (state == "cancelled")


# --- file-integrity -----------------------------------------------------------------------------------------------


def test_changed_files_are_noticed(gallery: Gallery, files: Path) -> None:
    (files / "samples" / "same.txt").write_text("stays as it is")
    first = gallery.play("file-integrity")
    assert first.status == "completed", first.error
    names = sorted(f"samples/{path.name}" for path in (files / "samples").iterdir())
    assert first.outputs == {
        "files": len(names),
        "first_time": True,
        "added": [],
        "removed": [],
        "changed": [],
        "unreadable": [],
    }
    (files / "samples" / "orders.csv").write_text("order\n")
    (files / "samples" / "orders-with-faults.csv").rename(files / "samples" / "renamed.csv")
    second = gallery.play("file-integrity")
    assert second.outputs["added"] == ["samples/renamed.csv"]
    assert second.outputs["removed"] == ["samples/orders-with-faults.csv"]
    assert second.outputs["changed"] == ["samples/orders.csv"]
    assert gallery.told() == [("files.changed", {"folder": "samples", "report": second.outputs})]
    told = RunEvent.objects.filter(run=second, event="step.completed", data__node_id="digest", data__has_key="index")
    cached = [one.data.get("reason") == "cached" for one in told]
    assert (len(cached), sum(cached)) == (len(names), len(names) - 2)  # what is as it was is not read again
