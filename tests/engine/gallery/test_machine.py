"""What looks at the machine itself: disks, packages, time zones."""

import sqlite3
from pathlib import Path
from typing import Any

import pytest

from flowforge.core.errors import InvalidBody
from runs.models import Run
from tests.engine.conftest import fresh, statuses, step
from tests.engine.gallery.conftest import Gallery

pytestmark = pytest.mark.django_db


def test_it_works(gallery: Gallery, files: Path) -> None:
    """Extract, validate, load: the shape of FlowCtl's example."""
    run = gallery.play("extract-validate-load")
    assert run.status == "completed", run.error
    rows = run.outputs["rows_written"]
    assert rows > 300
    assert run.outputs["rows_rejected"] == 0
    assert run.outputs["southernmost"].startswith("Antarctica/")
    with sqlite3.connect(files / "gallery.sqlite3") as target:
        assert target.execute("SELECT count(*) FROM zones").fetchone() == (rows,)
        assert target.execute("SELECT country FROM zones WHERE zone = 'Asia/Kolkata'").fetchall() == [("India",)]


def test_a_table_may_be_called_like_a_word_of_sql(gallery: Gallery, files: Path) -> None:
    assert gallery.play("extract-validate-load", table="select").status == "completed"
    with sqlite3.connect(files / "gallery.sqlite3") as target:
        assert target.execute('SELECT count(*) FROM "select"').fetchone()[0] > 300


@pytest.mark.parametrize(
    ("name", "inputs", "pointer"),
    [
        ("extract-validate-load", {"table": "zones; drop table zones"}, "/inputs/table"),
        ("extract-validate-load", {"max_bad_share": 2}, "/inputs/max_bad_share"),
        ("disk-check", {"settle": "a while"}, "/inputs/settle"),
        ("disk-check", {"threshold": 0}, "/inputs/threshold"),
        ("licence-audit", {"watch": ["x"]}, "/inputs/watch/0"),
        ("licence-audit", {"wtach": []}, "/inputs/wtach"),
    ],
)
def test_it_rejects_bad_inputs(gallery: Gallery, name: str, inputs: dict[str, Any], pointer: str) -> None:
    with pytest.raises(InvalidBody) as refused:
        gallery.play(name, **inputs)
    assert [fault.pointer for fault in refused.value.faults] == [pointer]
    assert not Run.objects.exists()


def test_a_disk_with_room(gallery: Gallery) -> None:
    run = gallery.play("disk-check", threshold=100)
    assert run.status == "completed", run.error
    looks, advice = run.outputs["looks"], run.outputs["advice"]
    assert (looks, advice) in ((1, "Nothing to do."), (2, "Make room."))  # the machine's own disk may be full
    assert 0 <= run.outputs["disk"]["percent"] <= 100


def test_a_disk_that_is_too_full_is_looked_at_again(gallery: Gallery) -> None:
    run = gallery.play("disk-check", threshold=1, settle="0ms")
    assert run.status == "completed", run.error
    again = statuses(run)["second_look"] == "completed"
    assert again is (step(run, "first_fullest").output["percent"] >= 1)
    assert run.outputs["looks"] == (2 if again else 1)


def test_licences_that_somebody_has_to_look_at(gallery: Gallery) -> None:
    run = gallery.play("licence-audit", watch=["MIT"])
    assert run.status == "completed", run.error
    assert "Django" in {package["name"] for package in step(run, "collect").output}
    assert run.outputs["review"]
    assert all("mit" in package["licence"].lower() for package in run.outputs["review"])
    assert statuses(run)["all_clear"] == "skipped"


def test_no_licence_to_look_at(gallery: Gallery) -> None:
    run = fresh(gallery.play("licence-audit", watch=["no such licence"]))
    assert run.status == "completed", run.error
    assert run.outputs["review"] == []
    assert statuses(run)["for_review"] == "skipped"
