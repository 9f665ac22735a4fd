"""docs/definitions.md: its examples are valid, and its tables complete."""

import re
from collections.abc import Mapping
from typing import Any

import pytest

from flowforge.kernel.validation import DEFINITION_SCHEMA, validate
from flowforge.steps.registry import default_registry
from tests.support.sources import CHECKOUT
from workflows.services import yaml_text

PAGE = (CHECKOUT / "docs/definitions.md").read_text()


def examples(kind: str) -> list[dict[str, Any]]:
    return [
        yaml_text.load(text.encode())
        for text in re.findall(rf"^```yaml {kind}\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    ]


@pytest.mark.parametrize("kind", ["definition", "tasks"])
def test_it_works_as_it_is_written(kind: str) -> None:
    [document] = examples(kind)
    found = validate(document, default_registry())
    assert (found.errors, found.warnings) == ([], [])


def fields_of(section: str) -> set[str]:
    """The names in the first column of a section's table."""
    text = PAGE.split(f"\n## {section}\n")[1].split("\n## ")[0]
    first_columns = [line.split("|")[1] for line in text.splitlines() if line.startswith("| `")]
    return set(re.findall(r"`(\w+)`", " ".join(first_columns)))


def members(schema: Mapping[str, Any]) -> set[str]:
    return set(schema["properties"])


def test_it_rejects_to_leave_a_field_out() -> None:
    assert fields_of("The document") == members(DEFINITION_SCHEMA)
    assert fields_of("Nodes") == members(DEFINITION_SCHEMA["properties"]["nodes"]["items"])
    assert fields_of("Edges") == members(DEFINITION_SCHEMA["properties"]["edges"]["items"])
    assert fields_of("Config") == members(DEFINITION_SCHEMA["properties"]["config"])
