"""Definitions as SVG, Mermaid and JSON."""

import re
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flowforge.kernel.document import load
from flowforge.kernel.picture import to_json, to_mermaid, to_svg
from flowforge.kernel.picture.labels import shorten
from flowforge.kernel.states import STEP_STATUSES
from tests.support.definitions import definitions

SVG = "{http://www.w3.org/2000/svg}"
DEFINITION = load(
    {
        "nodes": [
            {"id": "fetch", "name": "Fetch the day's orders", "type": "http"},
            {"id": "big", "type": "condition"},
            {"id": "load", "type": "etl"},
        ],
        "edges": [
            {"source": "fetch", "target": "big"},
            {"source": "big", "target": "load", "when": "true"},
            {"source": "fetch", "target": "load", "on": "failure"},
        ],
    }
)
NASTY = """</text><script>alert(1)</script> "quoted" & 'so' `on` #35; --> %%{init}%% \x00\x08\ufffe\n;end"""


def texts(svg: str) -> list[str]:
    return ["".join(element.itertext()) for element in ET.fromstring(svg).iter(f"{SVG}text")]


def test_it_works_as_svg() -> None:
    svg = to_svg(DEFINITION, {"fetch": "completed", "big": "running"})
    root = ET.fromstring(svg)
    assert root.get("role") == "img"
    named = {element.get("id") for element in root.iter() if element.get("id")}
    assert set((root.get("aria-labelledby") or "").split()) <= named
    assert "3 steps, 3 edges. 1 running, 1 completed." in (root.findtext(f"{SVG}desc") or "")
    written = texts(svg)
    assert "Fetch the day's orders" in written
    assert {"http · completed", "condition · running", "etl", "true", "failure"} <= set(written)
    assert {"completed (1)", "running (1)"} <= set(written)
    assert "prefers-color-scheme:dark" in svg


def test_without_states_there_is_no_legend() -> None:
    assert "completed (" not in to_svg(DEFINITION)
    assert "completed (" not in to_svg(DEFINITION, {})


def test_its_style_touches_nothing_else_on_a_page() -> None:
    [style] = ET.fromstring(to_svg(DEFINITION)).iter(f"{SVG}style")
    rules = re.sub(r"@media[^{]*{", "", style.text or "")
    selectors = [selector.strip(" \n}") for selector in re.findall(r"([^{}]+){", rules)]
    assert selectors
    assert all(selector.startswith(".ffg") for selector in selectors)


@pytest.mark.parametrize("state", STEP_STATUSES)
def test_every_state_has_its_colour(state: str) -> None:
    svg = to_svg(DEFINITION, {"fetch": state})
    assert f'class="box s-{state}"' in svg
    assert f".s-{state}{{" in svg
    assert f"class n0 {state}" in to_mermaid(DEFINITION, {"fetch": state})


def test_it_rejects_markup_in_names() -> None:
    nodes = [{"id": "a", "name": NASTY, "type": NASTY}, {"id": "b", "type": "t"}]
    definition = load({"nodes": nodes, "edges": [{"source": "a", "target": "b", "when": NASTY}]})
    svg = to_svg(definition, {"a": "completed", "b": NASTY})
    assert not list(ET.fromstring(svg).iter(f"{SVG}script"))
    assert "<script" not in svg
    mermaid = to_mermaid(definition, {"a": "completed", "b": NASTY})
    assert len(mermaid.splitlines()) == 6
    assert "<" not in mermaid
    assert mermaid.count('"') == 6


@given(definitions(max_nodes=6), st.dictionaries(st.text(max_size=3), st.sampled_from(STEP_STATUSES)))
def test_svg_is_well_formed_whatever_is_written(document: dict[str, Any], states: dict[str, str]) -> None:
    definition = load(document)
    boxes = [
        element
        for element in ET.fromstring(to_svg(definition, states)).iter(f"{SVG}g")
        if element.find(f"{SVG}rect") is not None
    ]
    assert len(boxes) == len(definition.nodes)


def test_it_works_as_mermaid() -> None:
    assert to_mermaid(DEFINITION, {"big": "failed"}) == (
        "flowchart TD\n"
        '    n0["Fetch the day\'s orders"]\n'
        '    n1{"big"}\n'
        '    n2["load"]\n'
        "    n0 --> n1\n"
        '    n1 -->|"true"| n2\n'
        '    n0 -.->|"failure"| n2\n'
        "    classDef failed fill:#fee2e2,stroke:#dc2626,color:#111827\n"
        "    class n1 failed\n"
    )


def test_it_works_as_json() -> None:
    drawn = to_json(DEFINITION, {"big": "waiting"})
    assert [(node["id"], node["state"], node["layer"]) for node in drawn["nodes"]] == [
        ("fetch", None, 0),
        ("big", "waiting", 1),
        ("load", None, 2),
    ]
    assert drawn["nodes"][0]["width"] > 0
    assert [(edge["source"], edge["target"], edge["on"], edge["when"]) for edge in drawn["edges"]] == [
        ("fetch", "big", "success", None),
        ("big", "load", "success", "true"),
        ("fetch", "load", "failure", None),
    ]
    assert all(len(edge["points"]) >= 2 for edge in drawn["edges"])
    assert (drawn["width"], drawn["height"]) > (0, 0)


def test_mermaid_writes_what_it_would_read_as_syntax_by_number() -> None:
    definition = load({"nodes": [{"id": "a", "name": 'say "<b>" #1; `x`', "type": "t"}]})
    assert 'n0["say #34;#60;b#62;#34; #35;1#59; #96;x#96;"]' in to_mermaid(definition)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("x" * 24, "x" * 24),
        ("x" * 25, "x" * 23 + "…"),
        ("日" * 12, "日" * 12),
        ("日" * 13, "日" * 11 + "…"),
        ("W" * 18, "W" * 16 + "…"),
        ("e\N{COMBINING ACUTE ACCENT}" * 24, "e\N{COMBINING ACUTE ACCENT}" * 24),
        ("a word " * 4, "a word a word a word…"),
    ],
)
def test_wide_characters_take_more_room(text: str, shown: str) -> None:
    assert shorten(text, 24) == shown
