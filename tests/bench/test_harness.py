"""The harness itself, on tiny sizes and without peers. No time is asserted: a time is a property of a machine."""

import json
from pathlib import Path
from typing import ClassVar

import pytest
from django.conf import settings

from tests.bench import __main__ as command
from tests.bench import limits, page
from tests.bench.peers import registry
from tests.bench.peers.environment import CannotInstall, Recipe, install
from tests.bench.report import table
from tests.bench.results import Measured, Results, load, merge
from tests.bench.stacks import OnPostgres, OnSqlite
from tests.bench.systems import Sizes
from tests.bench.workloads import WORKLOADS

TINY = Sizes(chains=1, chain=2, runs=3, steps=2, width=4, singles=2, reads=8, settle=0)


def measured(system: str, number: int = 0, **figures: float) -> Measured:
    samples = {name.replace("_", " ").replace(" per ", "/"): [value] for name, value in figures.items()}
    return Measured(round=number, system=system, workload="W1", figures=samples, others=0.0)


def results(*rows: Measured) -> Results:
    return Results(machine="a machine", began="today", measured=list(rows))


def row(text: str, label: str, after: str = "") -> list[str]:
    """The cells of the first line of that label, behind the line that names `after`."""
    lines = [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines()]
    first = next((place for place, cells in enumerate(lines) if after in cells[0]), 0)
    return next(cells[1:] for cells in lines[first:] if cells[0] == label)


@pytest.mark.processes
@pytest.mark.skipif(not settings.EMBEDDED, reason="of the embedded default: the SQLite lane runs it")
def test_it_works(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(OnSqlite, "sizes", TINY)
    monkeypatch.setattr(limits, "SECONDS", 0.01)
    out = tmp_path / "figures.json"
    asked = ["--peers", "none", "--stack", "sqlite", "--repeats", "1", "--out", str(out)]
    assert command.main(asked) == 0
    assert "**FlowForge, SQLite**" in capsys.readouterr().out
    kept = load(out)
    assert {m.workload for m in kept.measured} == {limits.NAME, *WORKLOADS}
    assert all(value > 0 for m in kept.measured for values in m.figures.values() for value in values)

    assert command.main(asked) == 0  # all of it is there already
    assert load(out).measured == kept.measured


def test_it_says_how_many_times_as_fast_flowforge_is() -> None:
    found = results(
        measured(OnSqlite.name, W1_ms=20.0, W2_runs_per_s=100.0),
        measured(OnPostgres.name, W1_ms=40.0, W2_runs_per_s=50.0),
        measured("dbos-sqlite", W1_ms=60.0, W2_runs_per_s=200.0),
    )
    text = table(found, [OnSqlite, OnPostgres, *registry.ALL])
    assert row(text, "· FlowForge is faster by", after="DBOS, SQLite") == ["3.0× / 1.5×", "0.5× / 0.2×"]
    assert row(text, "**DBOS, SQLite**") == ["60.0 (x1)", "200 (x1)"]


def test_it_says_how_far_the_limit_is() -> None:
    found = results(
        measured(OnSqlite.name, W1_ms=20.0, W2_runs_per_s=100.0),
        Measured(round=0, system=limits.NAME, workload=limits.NAME, figures={limits.SQLITE: [10_000.0]}, others=0.0),
    )
    text = table(found, [OnSqlite])
    assert row(text, "limit, SQLite") == ["4.00", "2,000"]
    assert row(text, "· times the limit") == ["5.0×", "20×"]


def test_it_takes_medians_of_all_rounds() -> None:
    found = results(*(measured(OnSqlite.name, number, W1_ms=value) for number, value in enumerate((9.0, 1.0, 2.0))))
    assert row(table(found, [OnSqlite]), "**FlowForge, SQLite**") == ["2.00 (x3)"]


def test_it_merges_files(tmp_path: Path) -> None:
    for number, value in enumerate((1.0, 3.0)):
        one = results(measured(OnSqlite.name, W1_ms=value))
        one.path = tmp_path / f"{number}.json"
        one.save()
    found = merge([tmp_path / "0.json", tmp_path / "1.json"])
    assert found.samples(OnSqlite.name)["W1 ms"] == [1.0, 3.0]
    assert [m.round for m in found.measured] == [0, 1]


def test_it_names_who_is_not_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    class Broken(OnSqlite):
        name: ClassVar[str] = "broken"
        title: ClassVar[str] = "Broken"

        def prepare(self) -> None:
            raise RuntimeError("it has no legs")

    monkeypatch.setattr(command, "_ours", lambda stack: [Broken])
    monkeypatch.setattr(limits, "SECONDS", 0.01)
    out = tmp_path / "figures.json"
    assert command.main(["--peers", "none", "--repeats", "1", "--out", str(out)]) == 1
    assert "!!! Broken: not measured: RuntimeError: it has no legs" in capsys.readouterr().out
    assert json.loads(out.read_text())["notes"] == {"Broken": "not measured: RuntimeError: it has no legs"}


@pytest.mark.parametrize("arguments", [["--only", "W9"], ["--peers", "temporal"], ["--stack", "oracle"]])
def test_it_rejects_what_it_does_not_know(arguments: list[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        command.main(arguments)


def test_it_writes_the_page_between_its_marks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(page, "PAGE", tmp_path / "benchmarks.md")
    page.PAGE.write_text("before\n<!-- figures -->\nold\n<!-- /figures -->\nafter\n")
    page.write("new")
    assert page.PAGE.read_text() == "before\n<!-- figures -->\nnew\n<!-- /figures -->\nafter\n"


def test_it_rejects_a_page_without_marks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(page, "PAGE", tmp_path / "benchmarks.md")
    page.PAGE.write_text("nothing\n")
    with pytest.raises(SystemExit, match="no single pair"):
        page.write("new")


@pytest.mark.parametrize("name", ["figures", "growth", "corpus"])
def test_the_page_has_all_marks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    copy = tmp_path / "benchmarks.md"
    copy.write_text(page.PAGE.read_text())
    monkeypatch.setattr(page, "PAGE", copy)
    page.write("measured", name)
    assert f"<!-- {name} -->\nmeasured\n<!-- /{name} -->" in copy.read_text()


def test_a_peer_that_cannot_be_installed_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FLOWFORGE_BENCH_HOME", str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(CannotInstall, match="npm is not on the PATH"):
        install("nothing", Recipe(node=("nothing@1.0.0",)))
    assert not (tmp_path / "nothing" / "installed.json").exists()
