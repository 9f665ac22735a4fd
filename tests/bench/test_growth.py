"""The measuring of growth and of real graphs, on tiny sizes; what they compute by themselves."""

import sqlite3
from pathlib import Path

import pytest
from django.conf import settings

from tests.bench import growth
from tests.bench.corpus import Bounds, bounds, sleeping
from tests.bench.results import Measured, Results, load
from tests.bench.seed import SqliteSeed
from tests.bench.stacks import OnSqlite
from tests.support import wfcommons

TINY = "--only stored --stored 3,30 --calls 2"
DIAMOND = {
    "nodes": [{"id": node} for node in "abcd"],
    "edges": [{"source": one, "target": other} for one, other in ("ab", "ac", "bd", "cd")],
}


@pytest.mark.processes
@pytest.mark.skipif(not settings.EMBEDDED, reason="of the embedded default: the SQLite lane runs it")
def test_it_works(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "growth.json"
    growth.main([*TINY.split(), "--stack", "sqlite", "--out", str(out)])
    kept = load(out)
    assert kept.notes == {}
    assert [m.workload for m in kept.measured] == ["stored 3", "stored 30"]
    assert "| last ÷ least" in capsys.readouterr().out


def test_it_compares_the_last_with_the_least() -> None:
    figures = ((10, 5.0), (100, 2.0), (1000, 3.0))
    measured = [
        Measured(round=0, system=OnSqlite.name, workload=f"chain {size}", figures={"ms a step": [value]}, others=0.0)
        for size, value in figures
    ]
    last = growth.report(Results(machine="a machine", began="today", measured=measured)).splitlines()[-1]
    assert [cell.strip() for cell in last.strip("|").split("|")] == ["last ÷ least", "1.50×"]


def test_it_rejects_what_it_does_not_know() -> None:
    with pytest.raises(SystemExit, match="2"):
        growth.main(["--only", "beards"])


def test_copies_have_rows_and_ids_of_their_own(tmp_path: Path) -> None:
    path = tmp_path / "runs.sqlite3"
    with sqlite3.connect(path) as connection:
        connection.executescript("""
            CREATE TABLE runs_run (id PRIMARY KEY, created_at, status);
            CREATE TABLE runs_steprun (id PRIMARY KEY, run_id, position);
            CREATE TABLE runs_runevent (run_id, seq, step_id, PRIMARY KEY (run_id, seq));
            INSERT INTO runs_run VALUES ('ab', 'then', 'completed');
            INSERT INTO runs_steprun VALUES ('s0', 'ab', 0), ('s1', 'ab', 1);
            INSERT INTO runs_runevent VALUES ('ab', 1, NULL), ('ab', 2, 's0'), ('ab', 3, 's1');
        """)
    connection.close()
    SqliteSeed(path, 10).copy("ab", 0, 9)
    connection = sqlite3.connect(path)
    runs = connection.execute("SELECT id FROM runs_run WHERE id != 'ab' ORDER BY created_at").fetchall()
    owned = "SELECT count(*) FROM runs_runevent JOIN runs_steprun ON step_id = id WHERE runs_steprun.run_id = ?"
    steps = [connection.execute(owned, run).fetchone()[0] for run in runs]
    connection.close()
    assert runs == sorted(runs)
    assert steps == [2] * 10


def test_no_schedule_is_faster_than_the_critical_path_or_than_all_threads() -> None:
    seconds = {"a": 1.0, "b": 2.0, "c": 5.0, "d": 1.0}
    assert bounds(DIAMOND, seconds, slots=4) == Bounds(path=7.0, work=9.0 / 4)
    assert bounds(DIAMOND, seconds, slots=4).least == 7.0
    assert bounds(DIAMOND, seconds, slots=1).least == 9.0


@pytest.mark.skipif(not wfcommons.instances(), reason="no traces here: tests/support/wfcommons.py")
def test_real_graphs_are_scaled_to_the_time_that_is_asked_for() -> None:
    for path in wfcommons.instances():
        document, least = sleeping(path, 3.0)
        assert least.least == pytest.approx(3.0)
        assert all(node["config"]["seconds"] >= 0 for node in document["nodes"])
