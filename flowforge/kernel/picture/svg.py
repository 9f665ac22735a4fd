"""A definition as SVG: no script, nothing from elsewhere, readable on light and dark pages, and to screen readers."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from html import escape
from typing import Final

from flowforge.kernel.definition import Definition, Edge, Node
from flowforge.kernel.layout import MARGIN, Placed, Route, layout
from flowforge.kernel.picture.labels import STATE_COLOURS, edge_label, node_label, printable, shorten

BY_DEVICE: Final = "@media (prefers-color-scheme:dark)"

_LEGEND_HEIGHT: Final = 28.0
_LEGEND_STEP: Final = 130.0
_LABEL_LENGTH: Final = 24  # characters that fit a box
_EDGE_LABEL_LENGTH: Final = 22
_FONT: Final = "font-family:system-ui,-apple-system,'Segoe UI',Roboto,sans-serif"

# Every rule begins with .ffg: within a page this style sheet must not touch anything else.
_STYLE: Final = f"""
.ffg{{{_FONT};background:#ffffff;color-scheme:light dark}}
.ffg .page{{fill:#ffffff}}
.ffg text{{fill:#111827;font-size:13px}}
.ffg .kind{{fill:#6b7280;font-size:11px}}
.ffg .box{{fill:#f9fafb;stroke:#6b7280;stroke-width:1.5}}
.ffg .edge{{fill:none;stroke:#6b7280;stroke-width:1.5}}
.ffg .failure{{stroke:#dc2626;stroke-dasharray:6 4}}
.ffg .always{{stroke-dasharray:2 4}}
.ffg .head{{fill:#6b7280}}
.ffg .when{{font-size:11px;paint-order:stroke;stroke:#ffffff;stroke-width:4px}}
.ffg .s-skipped{{stroke-dasharray:4 3}}
"""
_DARK_STYLE: Final = """
.ffg{background:#111827}
.ffg .page{fill:#111827}
.ffg text{fill:#f3f4f6}
.ffg .kind{fill:#9ca3af}
.ffg .box{fill:#1f2937;stroke:#9ca3af}
.ffg .edge{stroke:#9ca3af}
.ffg .failure{stroke:#f87171}
.ffg .head{fill:#9ca3af}
.ffg .when{stroke:#111827}
"""


def to_svg(definition: Definition, states: Mapping[str, str] | None = None, *, dark: str = BY_DEVICE) -> str:
    """A standalone SVG document; with `states` its boxes are coloured by step status, with a legend.

    `dark`: what its dark colours stand under; within a page that has a switch of its own, such a selector as `.dark`.
    """
    drawn = layout(definition)
    shown = {node.id: states[node.id] for node in definition.nodes if states and states.get(node.id) in STATE_COLOURS}
    counts = [(state, count) for state in STATE_COLOURS if (count := Counter(shown.values())[state])]
    width = max(drawn.width, MARGIN * 2 + _LEGEND_STEP * len(counts), 2 * MARGIN)
    height = drawn.height + (_LEGEND_HEIGHT if counts else 0)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" class="ffg" role="img" aria-labelledby="ffg-title ffg-desc" '
        f'width="{width:g}" height="{height:g}" viewBox="0 0 {width:g} {height:g}">',
        '<title id="ffg-title">Workflow graph</title>',
        f'<desc id="ffg-desc">{_text(_description(definition, counts))}</desc>',
        f"<style>{_style(dark)}</style>",
        '<defs><marker id="ffg-head" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="6" markerHeight="6" '
        'orient="auto"><path class="head" d="M0 0 8 4 0 8z"/></marker></defs>',
        f'<rect class="page" width="{width:g}" height="{height:g}"/>',
    ]
    parts += (_edge(edge, route) for edge, route in zip(definition.edges, drawn.routes, strict=True))
    parts += (_node(node, at, shown.get(node.id)) for node, at in zip(definition.nodes, drawn.nodes, strict=True))
    parts += _legend(counts, drawn.height)
    return "".join((*parts, "</svg>"))


def _style(when_dark: str) -> str:
    light = "".join(f".ffg .s-{name}{{fill:{c.fill};stroke:{c.stroke}}}" for name, c in STATE_COLOURS.items())
    dark = "".join(f".ffg .s-{name}{{fill:{c.dark_fill};stroke:{c.dark_stroke}}}" for name, c in STATE_COLOURS.items())
    return f"{_STYLE}{light}{when_dark}{{{_DARK_STYLE}{dark}}}"


def _description(definition: Definition, counts: Sequence[tuple[str, int]]) -> str:
    """For those who cannot see the picture: what there is, and as far as it can be said shortly, in which order."""
    text = f"{len(definition.nodes)} steps, {len(definition.edges)} edges."
    if counts:
        text += f" {', '.join(f'{count} {state}' for state, count in counts)}."
    if len(definition.edges) <= 50:
        text += "".join(f" {edge.source} leads to {edge.target}." for edge in definition.edges)
    return text


def _node(node: Node, at: Placed, state: str | None) -> str:
    kind = printable(node.type) + (f" · {state}" if state else "")
    middle = at.x + at.width / 2
    return (
        f"<g><title>{_text(f'{node_label(node)} ({node.id}, {kind})')}</title>"
        f'<rect class="box{f" s-{state}" if state else ""}" x="{at.x:g}" y="{at.y:g}" width="{at.width:g}" '
        f'height="{at.height:g}" rx="8"/>'
        f'<text x="{middle:g}" y="{at.y + 19:g}" text-anchor="middle">{_short(node_label(node))}</text>'
        f'<text class="kind" x="{middle:g}" y="{at.y + 35:g}" text-anchor="middle">{_short(kind)}</text></g>'
    )


def _edge(edge: Edge, route: Route) -> str:
    classes = "edge" if edge.on == "success" else f"edge {edge.on}"
    line = f'<path class="{classes}" marker-end="url(#ffg-head)" d="{_path(route.points)}"/>'
    label = edge_label(edge)
    if not label:
        return line
    (x1, y1), (x2, y2) = route.points[:2]
    text = _text(shorten(label, _EDGE_LABEL_LENGTH))
    place = f'x="{(x1 + x2) / 2:g}" y="{(y1 + y2) / 2 + 4:g}"'
    return f'<g><title>{_text(label)}</title>{line}<text class="when" {place} text-anchor="middle">{text}</text></g>'


def _path(points: Sequence[tuple[float, float]]) -> str:
    """Curves from layer to layer that leave and arrive upright; straight through a layer between."""
    (x, y), *rest = points
    text = f"M{x:g} {y:g}"
    for place, (next_x, next_y) in enumerate(rest):
        middle = (y + next_y) / 2
        upright = place % 2 == 1 or next_x == x
        text += f"V{next_y:g}" if upright else f"C{x:g} {middle:g} {next_x:g} {middle:g} {next_x:g} {next_y:g}"
        x, y = next_x, next_y
    return text


def _legend(counts: Sequence[tuple[str, int]], top: float) -> Iterator[str]:
    for place, (state, count) in enumerate(counts):
        x = MARGIN + place * _LEGEND_STEP
        yield f'<rect class="box s-{state}" x="{x:g}" y="{top:g}" width="14" height="14" rx="3"/>'
        yield f'<text class="kind" x="{x + 20:g}" y="{top + 11:g}">{state} ({count})</text>'


def _short(text: str) -> str:
    return _text(shorten(text, _LABEL_LENGTH))


def _text(text: str) -> str:
    return escape(text, quote=True)
