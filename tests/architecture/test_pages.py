"""The repository's pages: every link within it leads somewhere, and a record of a decision is in the list."""

import re
from pathlib import Path

import pytest

from tests.support.sources import CHECKOUT

LINK = re.compile(r"\]\((?!https?:|#|mailto:)(?P<target>[^)#\s]+)[^)]*\)")
PAGES = sorted((*CHECKOUT.glob("*.md"), *CHECKOUT.glob("docs/**/*.md")))


def broken(page: Path, text: str) -> list[str]:
    return [link["target"] for link in LINK.finditer(text) if not (page.parent / link["target"]).exists()]


def test_it_works() -> None:
    text = "[a](architecture.md) [b](settings.md#engine) [c](https://example.org/x) [d](nowhere.md)"
    assert broken(CHECKOUT / "docs/index.md", text) == ["nowhere.md"]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(CHECKOUT)))
def test_its_links_lead_somewhere(page: Path) -> None:
    assert broken(page, page.read_text()) == []


def test_every_decision_is_listed() -> None:
    folder = CHECKOUT / "docs/decisions"
    listed = {link["target"] for link in LINK.finditer((folder / "README.md").read_text())}
    assert listed == {page.name for page in folder.glob("0*.md")}
