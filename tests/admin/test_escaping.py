"""Whatever a client wrote is text."""

import re

import pytest
from django.test import Client

from tests.admin.conftest import EVIL, World

RAW = re.compile(r"<script>alert|<img src=x|49")  # as written; or the expression of EVIL worked out as a template


def found(page: str) -> list[str]:
    """Where hostile text stands unescaped: 49 counts where it follows the quotes of EVIL alone."""
    return [match for match in RAW.findall(page) if match != "49"] + re.findall(r"&quot;&#(?:x27|39);49", page)


def test_it_works() -> None:
    assert found(f"<p>{EVIL}</p>") == ["<script>alert", "<img src=x"]
    assert found("&quot;&#x27;49") == ["&quot;&#x27;49"]
    assert found("&lt;script&gt;alert(1)") == []


def test_it_rejects_markup_of_clients_on_every_page(superuser: Client, world: World) -> None:
    pages = {name: superuser.get(path).content.decode() for name, path in world.pages().items()}
    assert {name: found(page) for name, page in pages.items() if found(page)} == {}
    hostile = {name for name, page in pages.items() if "alert(1)" in page}
    assert hostile >= {"index", "search", "runs/run list", "runs/run page", "workflows/workflow page"}
    assert hostile >= {"workflows/workflow list", "projects/project page", "projects/apikey list", "projects/user page"}


@pytest.mark.parametrize("action", ["cancel", "pause"])
def test_it_rejects_markup_in_questions_and_messages(superuser: Client, world: World, action: str) -> None:
    chosen = {"action": action, "_selected_action": [str(world.run.pk)]}
    page = superuser.post("/admin/runs/run/", chosen, follow=True).content.decode()
    assert "alert(1)" in page
    assert found(page) == []
