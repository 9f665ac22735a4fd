"""Calls that come in, beside n8n: without n8n, and of no time at all."""

from pathlib import Path

import pytest

from tests.bench import hooks, webhooks
from tests.bench.hooks import Found
from tests.bench.peers.n8n import N8n
from tests.bench.stacks import OnPostgres, OnSqlite


def found(*rates: float) -> Found:
    return Found(rates=list(rates), took=[0.010, 0.020, 0.030], processor=[0.004])


def test_it_works() -> None:
    text = hooks.table({OnSqlite: found(100.0, 300.0, 200.0), N8n: found(50.0)})
    first, second = (
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in text.splitlines()
        if line.startswith(("| FlowForge", "| n8n"))
    )
    assert first[:6] == ["FlowForge, SQLite", "200", "4.00 x", "20.0", "30.0", "4.00"]
    assert "one transaction" in first[6]
    assert second[:3] == ["n8n, PostgreSQL", "50.0", "1.00 x"]
    assert "nothing" in second[6]


def test_who_was_not_measured_is_left_out() -> None:
    text = hooks.table({OnSqlite: found(100.0), OnPostgres: found(), N8n: found()})
    assert "100" in text
    assert "–" in text
    assert "PostgreSQL" not in text


def test_it_says_aloud_that_n8n_is_not_installed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FLOWFORGE_BENCH_HOME", str(tmp_path))
    assert webhooks.main(["--peers", "n8n"]) == 1
    assert "!!! n8n, PostgreSQL: not measured, as it is not installed" in capsys.readouterr().out


def test_it_rejects_a_peer_that_it_does_not_know() -> None:
    with pytest.raises(SystemExit, match="2"):
        webhooks.main(["--peers", "temporal"])
