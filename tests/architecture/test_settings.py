"""docs/settings.md names every variable that the code reads, with the default that it has there."""

import ast
import re

import pytest

from tests.support.sources import CHECKOUT, ours

ROW = re.compile(r"^\| `(?P<name>[A-Z_]+)` \| (?P<default>[^|]*) \|", re.MULTILINE)


def read_variables(tree: ast.AST) -> dict[str, str]:
    """Variable -> source of its default ("None" without) of each `env.<type>("NAME")` and `os.environ.get("NAME")`."""
    found = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and is_ours(node):
            defaults = [ast.unparse(keyword.value) for keyword in node.keywords if keyword.arg == "default"]
            found[ast.literal_eval(node.args[0])] = defaults[0] if defaults else "None"
    return found


def is_ours(call: ast.Call) -> bool:
    """Whether it reads a variable of FlowForge's (steps pass the system's PATH on: that is no setting)."""
    reader = ast.unparse(call.func)
    from_settings = reader.startswith("env.") and reader.count(".") == 1
    elsewhere = reader == "os.environ.get" and ast.unparse(call.args[0]).startswith("'FLOWFORGE_")
    return from_settings or elsewhere


def shown(default: str) -> str:
    """How docs/settings.md prints a plain default; "" for one that is worked out and described in words."""
    try:
        value = ast.literal_eval(default)
    except ValueError:
        return ""
    if value in ("", [], None):
        return "none"
    return f"`{str(value).lower() if isinstance(value, bool) else value}`"


VARIABLES = {name: default for source in ours() for name, default in read_variables(source.tree).items()}
DOCUMENTED = {row["name"]: row["default"].strip() for row in ROW.finditer((CHECKOUT / "docs/settings.md").read_text())}


def test_it_works() -> None:
    text = (
        'env.int("PORT", default=8000); env.bool("A", default=False); env.str("B", default=""); env.str("C", default=x)'
    )
    found = read_variables(ast.parse(text + '; os.environ.get("FLOWFORGE_D"); os.environ.get("PATH")'))
    assert {name: shown(default) for name, default in found.items()} == {
        "FLOWFORGE_D": "none",
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
