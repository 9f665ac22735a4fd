"""Where a command may write."""

import os
from pathlib import Path

import pytest

from flowforge.steps.scratch import clear_scratch, scratch_directory, working_directory


def test_it_works(tmp_path: Path) -> None:
    with scratch_directory(tmp_path) as scratch:
        assert scratch.parent == tmp_path / "scratch"
        assert scratch.stat().st_mode & 0o777 == 0o700
        (scratch / "deep" / "er").mkdir(parents=True)
        (scratch / "deep" / "file").write_text("x")
        (scratch / "deep").chmod(0)
    assert list((tmp_path / "scratch").iterdir()) == []


def test_what_a_dead_worker_left_can_be_cleared(tmp_path: Path) -> None:
    clear_scratch(tmp_path)  # nothing there: nothing to do
    (tmp_path / "scratch" / "left" / "over").mkdir(parents=True)
    clear_scratch(tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("wanted", ["..", "../..", "/etc", "/", "link", "roots-not-really"])
def test_it_rejects_folders_outside(tmp_path: Path, wanted: str) -> None:
    scratch, root = tmp_path / "scratch", tmp_path / "roots"
    for folder in (scratch, root, tmp_path / "roots-not-really"):
        folder.mkdir()
    (scratch / "link").symlink_to("/")
    if wanted == "roots-not-really":
        wanted = str(tmp_path / wanted)
    with pytest.raises(ValueError, match="neither inside the scratch directory nor inside a file root"):
        working_directory(wanted, scratch, [root])


def test_it_rejects_what_is_no_folder(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ValueError, match="not a directory"):
        working_directory("file", tmp_path, [])


def test_folders_inside_may_be_used(tmp_path: Path) -> None:
    scratch, root = tmp_path / "scratch", tmp_path / "roots"
    (scratch / "sub").mkdir(parents=True)
    (root / "data").mkdir(parents=True)
    assert working_directory(None, scratch, [root]) == scratch
    assert working_directory("sub", scratch, [root]) == scratch / "sub"
    assert working_directory(str(root / "data"), scratch, [root]) == root / "data"


def test_it_is_removed_after_an_error_and_links_are_not_followed(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "kept").write_text("x")

    def fail() -> None:
        with scratch_directory(tmp_path) as scratch:
            os.symlink(outside, scratch / "link")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert list((tmp_path / "scratch").iterdir()) == []
    assert (outside / "kept").exists()
