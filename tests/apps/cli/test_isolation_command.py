"""`manage.py isolation`: what this machine has."""

from typing import Any

import pytest
from django.core.management import call_command

from flowforge.cli.management.commands import isolation
from flowforge.steps.levels import LEVELS


def said(capsys: pytest.CaptureFixture[str]) -> tuple[str, str]:
    call_command("isolation")
    captured = capsys.readouterr()
    return captured.out, captured.err


def test_it_works(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    broken = {"bubblewrap": "no luck"}
    monkeypatch.setattr(isolation, "complaint_of", lambda level, home: broken.get(level))
    out, err = said(capsys)
    assert [line.split()[0] for line in out.splitlines()[:3]] == list(LEVELS)
    assert "no: no luck" in out
    assert out.endswith("used: namespaces\n")
    assert err == ""


def test_it_rejects_a_wish_that_cannot_be_fulfilled(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, settings: Any
) -> None:
    settings.ISOLATION = "bubblewrap"
    monkeypatch.setattr(isolation, "complaint_of", lambda level, home: "no luck")
    out, err = said(capsys)
    assert "used: bubblewrap (FLOWFORGE_ISOLATION)" in out
    assert "workers will not start" in err
