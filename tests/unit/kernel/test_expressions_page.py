"""docs/expressions.md is true: its examples are run, its tables name all that there is."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from flowforge.kernel.expressions import ExpressionError, compile_expression, compile_template
from flowforge.kernel.expressions.budget import ITEM_SIZE, MAX_DEPTH, MAX_SIZE, MAX_STEPS
from flowforge.kernel.expressions.parser import MAX_BRACKETS, MAX_CHARACTERS
from flowforge.kernel.expressions.registry import FILTERS, TESTS

PAGE = (Path(__file__).parents[3] / "docs" / "expressions.md").read_text()


def fences(kind: str) -> list[str]:
    return re.findall(rf"^```{kind}\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)


SCOPE = json.loads(fences("json scope")[0])
EXAMPLES = [line.split("→") for fence in fences("expressions") for line in fence.splitlines()]


@pytest.mark.parametrize(("text", "expected"), EXAMPLES, ids=[text.strip() for text, _ in EXAMPLES])
def test_it_works_as_the_page_says(text: str, expected: str) -> None:
    if expected.strip().startswith("expression_"):
        with pytest.raises(ExpressionError) as caught:
            compile_expression(text).evaluate(SCOPE)
        assert caught.value.code == expected.strip()
    else:
        found, wanted = compile_expression(text).evaluate(SCOPE), json.loads(expected)
        assert found == wanted
        assert type(found) is type(wanted)


def test_templates_give_what_the_page_says() -> None:
    rows = re.findall(r'^\| `(".*")` \| `(.*)` \|$', PAGE, re.MULTILINE)
    assert len(rows) == 4
    for written, value in rows:
        assert compile_template(json.loads(written)).render(SCOPE) == json.loads(value)


def named_in_tables(header: str) -> set[str]:
    """The names that begin the code spans of the first column, of all tables whose first column is `header`."""
    tables = re.findall(rf"^\| {header} \|.*\n\|[-|]+\n((?:\|.*\n)+)", PAGE, re.MULTILINE)
    cells = [row.split("|")[1] for table in tables for row in table.splitlines()]
    return {name for cell in cells for name in re.findall(r"`(\w+|[<>=!]+)", cell)}


def test_every_filter_and_test_is_on_the_page() -> None:
    assert named_in_tables("filter") == set(FILTERS)
    assert named_in_tables("test") == set(TESTS)


def test_every_filter_has_an_example() -> None:
    shown: set[Any] = {name for text, _ in EXAMPLES for name in re.findall(r"\| (\w+)", text)}
    assert set(FILTERS) - shown == set()


def test_the_limits_on_the_page_are_the_limits() -> None:
    assert f"{MAX_STEPS:,} steps" in PAGE
    assert f"{MAX_SIZE:,} bytes" in PAGE
    assert f"nest values {MAX_DEPTH} deep" in PAGE
    assert f"an item of a list or an object: {ITEM_SIZE}" in PAGE
    assert f"{MAX_CHARACTERS:,} characters, {MAX_DEPTH} levels and {MAX_BRACKETS} brackets" in PAGE
