"""docs/settings.md names every variable that flowforge/settings.py reads, with the default that it has there."""

import ast
import re

import pytest

from tests.support.sources import CHECKOUT

SETTINGS = "flowforge/settings.py"
ROW = re.compile(r"^\| `(?P<name>[A-Z_]+)` \| (?P<default>[^|]*) \|", re.MULTILINE)


def read_variables(text: str) -> dict[str, str]:
    """Variable -> the source of its default, of each `env.<type>("NAME", default=…)`."""
    found = {}
    for node in ast.walk(ast.parse(text)):
        if (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Attribute)
            and ast.unparse(node.func.value) == "env"
        ):
            defaults = [ast.unparse(keyword.value) for keyword in node.keywords if keyword.arg == "default"]
            assert isinstance(node.args[0], ast.Constant)
            found[str(node.args[0].value)] = defaults[0] if defaults else ""
    return found


def shown(default: str) -> str:
    """How docs/settings.md prints a plain default; "" for one that is worked out and described in words."""
    try:
        value = ast.literal_eval(default)
    except ValueError:
        return ""
    if value in ("", []):
        return "none"
    return f"`{str(value).lower() if isinstance(value, bool) else value}`"


VARIABLES = read_variables((CHECKOUT / SETTINGS).read_text())
DOCUMENTED = {row["name"]: row["default"].strip() for row in ROW.finditer((CHECKOUT / "docs/settings.md").read_text())}


def test_it_works() -> None:
    text = (
        'env.int("PORT", default=8000); env.bool("A", default=False); env.str("B", default=""); env.str("C", default=x)'
    )
    found = read_variables(text)
    assert {name: shown(default) for name, default in found.items()} == {
        "PORT": "`8000`",
        "A": "`false`",
        "B": "none",
        "C": "",
    }


def test_every_variable_is_documented_and_no_other() -> None:
    assert set(DOCUMENTED) == set(VARIABLES)


@pytest.mark.parametrize("name", sorted(VARIABLES))
def test_its_default_is_the_documented_one(name: str) -> None:
    expected = shown(VARIABLES[name])
    told = DOCUMENTED[name]
    assert told == expected or (expected in ("", "none") and told.startswith(expected) and told)
