"""How to get in: what a start makes, keeps and shows again."""

import json
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from flowforge.cli.embedded import Access, StartFailed, ensure_access
from flowforge.cli.samples import place_samples
from flowforge.projects.models import ApiKey
from flowforge.projects.services import keys, people
from tests.support.api import ApiClient
from workflows.models import Workflow
from workflows.services.gallery import slugs

pytestmark = pytest.mark.django_db

CHOSEN = "0123456789abcdef01234567"
NAMES = ("FLOWFORGE_API_KEY", "FLOWFORGE_ADMIN_PASSWORD")


@pytest.fixture(autouse=True)
def home(settings: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    settings.HOME = tmp_path
    for name in NAMES:
        monkeypatch.delenv(name, raising=False)
    return tmp_path


def works(access: Access) -> bool:
    answer = ApiClient({"X-API-KEY": access.api_key}).get("/v1/projects").expect(200)
    return [row["id"] for row in answer.data] == [access.project_id]


def test_it_works(home: Path) -> None:
    access = ensure_access()
    assert works(access)
    assert people.log_in(username=access.admin_user, password=access.admin_password)
    assert ensure_access() == access
    kept = home / "access.json"
    assert json.loads(kept.read_text())["api_key"] == access.api_key
    assert kept.stat().st_mode & 0o777 == 0o600


def test_it_rejects_a_key_that_cannot_be_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FLOWFORGE_API_KEY", "short")
    with pytest.raises(StartFailed, match=r"FLOWFORGE_API_KEY: .*16 to 256 characters"):
        ensure_access()
    with pytest.raises(CommandError, match="FLOWFORGE_API_KEY"):
        call_command("bootstrap")


def test_the_environment_chooses(monkeypatch: pytest.MonkeyPatch) -> None:
    first = ensure_access()
    monkeypatch.setenv("FLOWFORGE_API_KEY", f" {CHOSEN}\n")
    monkeypatch.setenv("FLOWFORGE_ADMIN_PASSWORD", "Geheim ☃ 1")
    chosen = ensure_access()
    assert (chosen.api_key, chosen.admin_password) == (CHOSEN, "Geheim ☃ 1")
    assert works(chosen)
    assert works(first)
    assert people.log_in(username="admin", password="Geheim ☃ 1")
    for name in NAMES:
        monkeypatch.delenv(name)
    assert ensure_access() == chosen  # what was chosen once is remembered


def test_a_revoked_key_is_followed_by_a_fresh_one() -> None:
    first = ensure_access()
    keys.revoke_key(key=ApiKey.objects.get())
    again = ensure_access()
    assert again.api_key != first.api_key
    assert works(again)


def test_bootstrap_brings_the_gallery(capsys: pytest.CaptureFixture[str], settings: Any, home: Path) -> None:
    settings.FILE_ROOTS = [home / "files"]
    call_command("bootstrap")
    call_command("bootstrap")
    printed = capsys.readouterr().out.splitlines()
    assert printed[:2] == printed[2:]
    assert printed[0] == f"key     {ensure_access().api_key}"
    assert sorted(Workflow.objects.values_list("name", flat=True)) == slugs()
    assert (home / "files" / "samples" / "orders.csv").read_text().startswith("order,day,customer")


def test_samples_that_are_there_stay_as_they_are(home: Path) -> None:
    changed, removed, *_ = place_samples([home / "files"])
    changed.write_text("mine")
    removed.unlink()
    assert place_samples([home / "files"]) == [removed]
    assert changed.read_text() == "mine"
    assert place_samples([]) == []
