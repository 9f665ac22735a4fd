"""What is written on nodes and edges, and the colours of states."""

import re
import unicodedata
from dataclasses import dataclass
from typing import Final

from flowforge.kernel.definition import Edge, Node

# XML 1.0, 2.2: what no document may hold, escaped or not
_UNPRINTABLE = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


@dataclass(frozen=True, kw_only=True, slots=True)
class Colours:
    """Fill and outline of a box, on a light and on a dark page."""

    fill: str
    stroke: str
    dark_fill: str
    dark_stroke: str


STATE_COLOURS: Final[dict[str, Colours]] = {
    "pending": Colours(fill="#f3f4f6", stroke="#6b7280", dark_fill="#1f2937", dark_stroke="#9ca3af"),
    "running": Colours(fill="#dbeafe", stroke="#2563eb", dark_fill="#1e3a8a", dark_stroke="#60a5fa"),
    "retrying": Colours(fill="#fef3c7", stroke="#d97706", dark_fill="#78350f", dark_stroke="#fbbf24"),
    "waiting": Colours(fill="#ede9fe", stroke="#7c3aed", dark_fill="#4c1d95", dark_stroke="#a78bfa"),
    "completed": Colours(fill="#dcfce7", stroke="#16a34a", dark_fill="#14532d", dark_stroke="#4ade80"),
    "failed": Colours(fill="#fee2e2", stroke="#dc2626", dark_fill="#7f1d1d", dark_stroke="#f87171"),
    "skipped": Colours(fill="#ffffff", stroke="#9ca3af", dark_fill="#111827", dark_stroke="#6b7280"),
    "cancelled": Colours(fill="#e5e7eb", stroke="#374151", dark_fill="#374151", dark_stroke="#d1d5db"),
}


def node_label(node: Node) -> str:
    """Its name, or its id."""
    return printable(node.name or node.id)


def edge_label(edge: Edge) -> str:
    """When it fires, if not simply on success: `failure`, `true`, `always: {{ … }}`."""
    return printable(": ".join(part for part in (edge.on if edge.on != "success" else "", edge.when) if part))


def printable(text: str) -> str:
    """On one line, without what XML cannot hold."""
    return " ".join(_UNPRINTABLE.sub("�", text).split())


def shorten(text: str, length: int) -> str:
    """As much of a text as is at most as wide as `length` small letters."""
    if sum(map(_width, text)) <= length:
        return text
    kept, room = 0, length - 1.0
    for character in text:
        room -= _width(character)
        if room < 0:
            break
        kept += 1
    return f"{text[:kept].rstrip()}…"


def _width(character: str) -> float:
    """About how wide it is, in small letters (Unicode Standard Annex 11 says which are as wide as they are high)."""
    if unicodedata.combining(character):
        return 0.0
    if unicodedata.east_asian_width(character) in ("W", "F"):
        return 2.0
    return 1.4 if character in "MWmw@%" else 1.2 if character.isupper() else 1.0
