"""A model that is trained, judged and used, on the customers that ship as samples."""

import csv
import hashlib
from pathlib import Path

import pytest

from tests.engine.conftest import statuses, step
from tests.engine.gallery.conftest import Gallery

pytestmark = [pytest.mark.django_db, pytest.mark.processes]


def test_it_works(gallery: Gallery, files: Path) -> None:
    run = gallery.play("customers-at-risk")
    assert run.status == "completed", run.error
    assert run.outputs["promoted"] is True
    assert run.outputs["accuracy"] >= run.outputs["guessing"] + 0.05
    trained = step(run, "train").output
    in_use = (files / "models" / "customers" / "in-use.zip").read_bytes()
    assert hashlib.sha256(in_use).hexdigest() == trained["sha256"]
    assert "customer" not in trained["features"]
    with (files / "reports" / "customers-at-risk.csv").open(newline="") as report:
        rows = list(csv.DictReader(report))
    assert len(rows) == run.outputs["customers"] == 40
    leaving = [row["customer"] for row in rows if row["prediction"] == "yes"]
    assert 0 < len(leaving) == run.outputs["leaving"] < 40
    assert gallery.told() == [("customers.at_risk", {"customers": 40, "leaving": len(leaving)})]


def test_a_model_that_is_no_better_changes_nothing(gallery: Gallery, files: Path) -> None:
    run = gallery.play("customers-at-risk", min_gain=0.9, algorithm="logistic_regression")
    assert run.status == "completed", run.error
    assert (run.outputs["promoted"], run.outputs["customers"], run.outputs["leaving"]) == (False, 0, 0)
    assert statuses(run)["predict"] == "skipped"
    assert not (files / "models" / "customers" / "in-use.zip").exists()
    assert [name for name, _ in gallery.told()] == ["model.rejected"]
