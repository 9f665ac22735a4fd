"""docs/gallery.md: it names what there is, and its pictures are those that are served."""

import json
import re
from pathlib import Path

import pytest

from flowforge.core.jsonschema import apply_defaults, compile_schema
from workflows.services.gallery import item, mermaid, slugs

PAGE = Path(__file__).resolve().parents[3] / "docs" / "gallery.md"
TEXT = PAGE.read_text()
ROWS = re.findall(r"^\| `([a-z-]+)` \| (.+) \| `(\{.*\})` \|$", TEXT, re.MULTILINE)
PICTURES = re.findall(r"^### ([a-z-]+)\n\n```mermaid\n(.*?)```", TEXT, re.MULTILINE | re.DOTALL)


def test_it_works() -> None:
    assert [slug for slug, _, _ in ROWS] == slugs()


@pytest.mark.parametrize(("slug", "_solves", "inputs"), ROWS)
def test_the_inputs_to_try_are_good(slug: str, _solves: str, inputs: str) -> None:
    schema = item(slug).definition["input_schema"]
    assert compile_schema(schema).faults(apply_defaults(schema, json.loads(inputs))) == []


def test_the_pictures_are_those_that_are_served() -> None:
    assert len(PICTURES) >= 3
    for slug, picture in PICTURES:
        assert picture.strip() == mermaid(slug).strip(), f"the picture of {slug} is now:\n{mermaid(slug)}"


def test_what_it_points_at_is_there() -> None:
    examples = TEXT.partition("## Where to see what")[2].partition("## Some pictures")[0]
    named = re.findall(r"`([a-z]+(?:-[a-z]+)+)`", examples)
    assert named
    assert set(named) <= set(slugs())
