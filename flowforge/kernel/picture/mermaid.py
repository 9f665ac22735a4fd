"""A definition as Mermaid flowchart text (mermaid.js.org), for Markdown pages and tickets."""

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping

from flowforge.kernel.definition import Definition, Edge, Node
from flowforge.kernel.picture.labels import STATE_COLOURS, edge_label, node_label, shorten

# Mermaid has entities of its own (#quot;) and reads some HTML and Markdown in labels
_SPECIAL = re.compile(r'[#"<>&`;\\]')
_BRANCHING = ("condition", "switch")


def to_mermaid(definition: Definition, states: Mapping[str, str] | None = None) -> str:
    """A `flowchart TD`; nodes are named n0, n1 … by their place, so that no id can be mistaken for syntax."""
    lines = ["flowchart TD"]
    lines += (f"    {_node(node)}" for node in definition.nodes)
    lines += (f"    {_edge(definition, edge)}" for edge in definition.edges)
    lines += (f"    {line}" for line in _classes(definition, states or {}))
    return "\n".join(lines) + "\n"


def _node(node: Node) -> str:
    label = _quoted(node_label(node))
    return f"n{node.position}{{{label}}}" if node.type in _BRANCHING else f"n{node.position}[{label}]"


def _edge(definition: Definition, edge: Edge) -> str:
    source, target = definition.by_id[edge.source], definition.by_id[edge.target]
    arrow = "-->" if edge.on == "success" else "-.->"
    label = edge_label(edge)
    text = f"|{_quoted(label)}|" if label else ""
    return f"n{source.position} {arrow}{text} n{target.position}"


def _classes(definition: Definition, states: Mapping[str, str]) -> Iterator[str]:
    nodes: dict[str, list[str]] = defaultdict(list)
    for node in definition.nodes:
        if states.get(node.id) in STATE_COLOURS:
            nodes[states[node.id]].append(f"n{node.position}")
    for state, names in nodes.items():
        colours = STATE_COLOURS[state]
        yield f"classDef {state} fill:{colours.fill},stroke:{colours.stroke},color:#111827"
        yield f"class {','.join(names)} {state}"


def _quoted(text: str) -> str:
    return f'"{_SPECIAL.sub(lambda found: f"#{ord(found[0])};", shorten(text, 100))}"'
