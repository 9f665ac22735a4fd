"""Files inside file roots and nowhere else; put in place at once."""

import os
from pathlib import Path

import pytest

from flowforge.steps.base import CancelToken
from flowforge.steps.data import files
from flowforge.steps.data.failures import DataFailure
from flowforge.steps.data.files import New

LIMIT = 1024


@pytest.fixture
def root(tmp_path: Path) -> Path:
    found = tmp_path / "files"
    found.mkdir()
    return found


def bring(path: str, root: Path, into: Path) -> int:
    return files.bring(files.inside(path, [root]), into, max_bytes=LIMIT, cancel=CancelToken()).size


def put(path: str, root: Path, content: bytes, *, replace: bool = True, token: str = "t") -> None:
    source = root.parent / "source"
    source.write_bytes(content)
    files.put(files.inside(path, [root]), New(source=source, replace=replace, mark=token), cancel=CancelToken())


def code(raised: pytest.ExceptionInfo[DataFailure]) -> str:
    return raised.value.code


def test_it_works(root: Path, tmp_path: Path) -> None:
    put("a/b.csv", root, b"first")
    put(f"{root}/a/b.csv", root, b"second")
    assert bring("a/b.csv", root, tmp_path / "into") == 6
    assert (tmp_path / "into").read_bytes() == b"second"
    assert os.listdir(root / "a") == ["b.csv"]


@pytest.mark.parametrize("path", ["/etc/passwd", "../x", "a/../../x", "", ".", "/"])
def test_it_rejects_what_is_outside(root: Path, path: str) -> None:
    with pytest.raises(DataFailure) as raised:
        files.inside(path, [root])
    assert code(raised) == "file_refused"


def test_it_rejects_everything_without_a_root() -> None:
    with pytest.raises(DataFailure, match="FLOWFORGE_FILE_ROOTS"):
        files.inside("a.csv", [])


def test_it_rejects_links_that_lead_out_and_follows_those_that_stay(root: Path, tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside/secret").write_text("canary")
    (root / "out").symlink_to(tmp_path / "outside")
    (root / "file").symlink_to(tmp_path / "outside/secret")
    (root / "loop").symlink_to(root / "loop")
    for path in ("out/secret", "file", "loop"):
        with pytest.raises(DataFailure) as raised:
            bring(path, root, tmp_path / "into")
        assert code(raised) == "file_refused"
    (root / "real").mkdir()
    (root / "real/a").write_text("a")
    (root / "inner").symlink_to("real")
    assert bring("inner/a", root, tmp_path / "into") == 1


def test_it_rejects_a_link_that_comes_between_the_look_and_the_opening(root: Path, tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside/a").write_text("canary")
    (root / "folder").mkdir()
    (root / "folder/a").write_text("a")
    place = files.inside("folder/a", [root])
    (root / "folder/a").unlink()
    (root / "folder").rmdir()
    (root / "folder").symlink_to(tmp_path / "outside")
    with pytest.raises(DataFailure) as raised:
        files.bring(place, tmp_path / "into", max_bytes=LIMIT, cancel=CancelToken())
    assert code(raised) == "file_refused"
    source = tmp_path / "source"
    source.write_text("new")
    with pytest.raises(DataFailure):
        files.put(place, New(source=source, mark="t"), cancel=CancelToken())
    assert (tmp_path / "outside/a").read_text() == "canary"


def test_it_rejects_what_is_no_file(root: Path, tmp_path: Path) -> None:
    os.mkfifo(root / "pipe")
    (root / "folder").mkdir()
    for path in ("pipe", "folder"):
        with pytest.raises(DataFailure) as raised:
            bring(path, root, tmp_path / "into")
        assert code(raised) == "file_refused"
        with pytest.raises(DataFailure) as raised:
            put(path, root, b"x")
        assert code(raised) == "file_refused"


def test_it_rejects_what_is_not_there_and_what_is_too_large(root: Path, tmp_path: Path) -> None:
    with pytest.raises(DataFailure) as raised:
        bring("none.csv", root, tmp_path / "into")
    assert code(raised) == "not_found"
    (root / "large").write_bytes(b"x" * (LIMIT + 1))
    with pytest.raises(DataFailure) as raised:
        bring("large", root, tmp_path / "into")
    assert code(raised) == "too_large"


def test_it_replaces_nothing_unless_it_may(root: Path) -> None:
    put("a", root, b"old", replace=False)
    with pytest.raises(DataFailure) as raised:
        put("a", root, b"new", replace=False, token="another")
    assert code(raised) == "target_exists"
    put("a", root, b"new", replace=False)  # the same step again: it has done so already
    assert (root / "a").read_bytes() == b"old"
    assert os.listdir(root) == ["a"]


def test_it_clears_away_what_its_own_killed_attempts_left(root: Path) -> None:
    for name in (".a.mine.0123.part", ".a.other.0123.part"):
        (root / name).write_text("half")
    put("a", root, b"whole", token="mine")
    assert sorted(os.listdir(root)) == [".a.other.0123.part", "a"]


def test_a_new_file_has_the_mode_that_a_new_file_has_here(root: Path) -> None:
    put("a", root, b"x")
    (root / "b").touch()
    assert (root / "a").stat().st_mode == (root / "b").stat().st_mode


def test_over_two_file_systems_it_copies(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real_rename, real_link = os.rename, os.link

    def crossing(function: object) -> object:
        def refuse(*args: object, **kwargs: object) -> None:
            if any(str(each).startswith(("/proc/", str(tmp_path / "source"))) for each in args):
                raise OSError(18, "cross-device")
            function(*args, **kwargs)  # type: ignore[operator]

        return refuse

    monkeypatch.setattr(os, "rename", crossing(real_rename))
    monkeypatch.setattr(os, "link", crossing(real_link))
    put("a", root, b"copied")
    assert bring("a", root, tmp_path / "into") == 6
    assert (tmp_path / "into").stat().st_nlink == 1


@pytest.mark.parametrize(
    ("path", "name"), [("/shop.db", "shop.db"), ("//ROOT/shop.db", "shop.db"), ("/ROOT/shop.db", "shop.db")]
)
def test_sqlite_paths_are_absolute_or_below_the_root(root: Path, path: str, name: str) -> None:
    path = path.replace("/ROOT", str(root))
    assert files.inside_or_below(path, [root]).path == root / name


@pytest.mark.parametrize("path", ["//etc/passwd", "/../x.db"])
def test_it_rejects_sqlite_paths_outside(root: Path, path: str) -> None:
    with pytest.raises(DataFailure):
        files.inside_or_below(path, [root])
