"""The gallery's workflows, run by the real engine with real processes on real data."""

import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from flowforge.core.errors import InvalidBody
from flowforge.engine import execution
from flowforge.projects.models import Project
from runs.models import Run
from tests.engine.conftest import Flow, fresh, statuses, step
from tests.support.bells import BellRecorder
from workflows.services.gallery import install_gallery

pytestmark = pytest.mark.django_db

Play = Callable[..., Run]


@pytest.fixture
def files(settings: Any, tmp_path: Path) -> Iterator[Path]:
    """The folder that steps may write to."""
    settings.HOME, settings.FILE_ROOTS = tmp_path, [tmp_path / "files"]
    execution.step_settings.cache_clear()
    yield tmp_path / "files"
    execution.step_settings.cache_clear()


@pytest.fixture
def play(project: Project, bell: BellRecorder, flow: Callable[..., Flow], files: Path) -> Play:
    """`play("disk-check", threshold=1)`: run one of the gallery to its end."""
    project.settings = {"allowed_step_types": ["python", "generic", "transform", "condition", "switch", "delay"]}
    project.save(update_fields=["settings"])
    installed = {one.version.workflow.name: one.version.workflow for one in install_gallery(project_id=project.pk)}

    def run(name: str, **inputs: Any) -> Run:
        return Flow(bell, installed[name]).run(**inputs)

    return run


def test_it_works(play: Play, files: Path) -> None:
    """Extract, validate, load: the shape of FlowCtl's example."""
    run = play("extract-validate-load")
    assert run.status == "completed", run.error
    rows = run.outputs["rows_written"]
    assert rows > 300
    assert run.outputs["rows_rejected"] == 0
    assert run.outputs["southernmost"].startswith("Antarctica/")
    with sqlite3.connect(files / "gallery.sqlite3") as target:
        assert target.execute("SELECT count(*) FROM zones").fetchone() == (rows,)
        assert target.execute("SELECT country FROM zones WHERE zone = 'Asia/Kolkata'").fetchall() == [("India",)]


def test_a_table_may_be_called_like_a_word_of_sql(play: Play, files: Path) -> None:
    assert play("extract-validate-load", table="select").status == "completed"
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
def test_it_rejects_bad_inputs(play: Play, name: str, inputs: dict[str, Any], pointer: str) -> None:
    with pytest.raises(InvalidBody) as refused:
        play(name, **inputs)
    assert [fault.pointer for fault in refused.value.faults] == [pointer]
    assert not Run.objects.exists()


def test_a_disk_with_room(play: Play) -> None:
    run = play("disk-check", threshold=100)
    assert run.status == "completed", run.error
    looks, advice = run.outputs["looks"], run.outputs["advice"]
    assert (looks, advice) in ((1, "Nothing to do."), (2, "Make room."))  # the machine's own disk may be full
    assert 0 <= run.outputs["disk"]["percent"] <= 100


def test_a_disk_that_is_too_full_is_looked_at_again(play: Play) -> None:
    run = play("disk-check", threshold=1, settle="0ms")
    assert run.status == "completed", run.error
    again = statuses(run)["second_look"] == "completed"
    assert again is (step(run, "first_fullest").output["percent"] >= 1)
    assert run.outputs["looks"] == (2 if again else 1)


def test_licences_that_somebody_has_to_look_at(play: Play) -> None:
    run = play("licence-audit", watch=["MIT"])
    assert run.status == "completed", run.error
    assert "Django" in {package["name"] for package in step(run, "collect").output}
    assert run.outputs["review"]
    assert all("mit" in package["licence"].lower() for package in run.outputs["review"])
    assert statuses(run)["all_clear"] == "skipped"


def test_no_licence_to_look_at(play: Play) -> None:
    run = fresh(play("licence-audit", watch=["no such licence"]))
    assert run.status == "completed", run.error
    assert run.outputs["review"] == []
    assert statuses(run)["for_review"] == "skipped"
