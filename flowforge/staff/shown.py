"""Values as people read them: moments, durations, documents, graphs. Whatever a client wrote comes out escaped."""

from datetime import UTC, datetime
from itertools import pairwise
from typing import Final

import orjson
from django.template.loader import render_to_string
from django.utils.html import format_html
from django.utils.safestring import SafeString, mark_safe

from flowforge.core.json import Json
from flowforge.kernel.definition import Definition
from flowforge.kernel.picture import to_svg

MAX_PICTURE_NODES: Final = 200  # a larger graph takes long to lay out, and nobody could read it
MAX_TEXT_LENGTH: Final = 50_000  # of a document on a page; the API has the whole

# status -> the colour of its label, in unfold's words; grey for any other
TONES: Final = {
    "running": "info",
    "waiting": "info",
    "retrying": "warning",
    "paused": "warning",
    "completed": "success",
    "active": "success",
    "failed": "danger",
    "firing": "danger",
    "ok": "success",
    "revoked": "danger",
    "expired": "warning",
    "quarantined": "danger",
    "fired": "success",
    "late": "warning",
    "deferred": "info",
    "rejected": "danger",
    "delivered": "success",
    "dead": "danger",
}
_TO_THE_SECOND: Final = len("2026-01-01 00:00:00")
_UNITS: Final = (("d", 86_400), ("h", 3_600), ("min", 60), ("s", 1))


def lasted(seconds: float | None) -> str:
    """Two units at most: `12 ms`, `3.5 s`, `2 min 5 s`, `6 h`, `3 d 4 h`; a dash for None."""
    if seconds is None:
        return "–"
    if seconds < 1:
        return f"{max(seconds, 0) * 1000:.0f} ms"
    if seconds < 60:
        return f"{int(seconds * 10) / 10:g} s"
    for (unit, size), (smaller, smaller_size) in pairwise(_UNITS):
        if seconds >= size:
            rest = int(seconds % size // smaller_size)
            return f"{int(seconds // size)} {unit}" + (f" {rest} {smaller}" if rest else "")
    raise AssertionError("a minute is reached by everything that is left")


def moment(value: datetime | str | None, *, digits: int = 0) -> SafeString:
    """A moment in UTC to the second, or to `digits` of one; in full when pointed at. Text is ISO 8601, None a dash."""
    if value is None:
        return SafeString("–")
    at = (datetime.fromisoformat(value) if isinstance(value, str) else value).astimezone(UTC)
    text = f"{at:%Y-%m-%d %H:%M:%S.%f}"[: _TO_THE_SECOND + (digits and digits + 1)]
    return format_html('<time class="ff-moment" title="{0}" datetime="{0}">{1}</time>', at.isoformat(), text)


def label(status: str, *, href: str | None = None) -> SafeString:
    """A status in its colour, leading to `href`."""
    tone = TONES.get(status, "default")
    return render_to_string("unfold/helpers/label.html", {"text": status, "type": tone, "href": href})


def document(value: Json) -> str:
    """JSON on several lines, cut where it would be too long for a page."""
    return shortened(orjson.dumps(value, option=orjson.OPT_INDENT_2).decode())


def code_block(text: str) -> SafeString:
    """Text as it is, in a box that scrolls."""
    return format_html('<pre class="ff-code">{}</pre>', text)


def shortened(text: str) -> str:
    """The text's beginning, saying so if there is more."""
    if len(text) <= MAX_TEXT_LENGTH:
        return text
    return f"{text[:MAX_TEXT_LENGTH]}\n… {len(text) - MAX_TEXT_LENGTH} more characters: the API gives them all"


def picture(definition: Definition, states: dict[str, str] | None = None) -> SafeString | None:
    """The graph, its nodes coloured by status, in the page's own light or dark; None if it has too many nodes."""
    if len(definition.nodes) > MAX_PICTURE_NODES:
        return None
    return mark_safe(to_svg(definition, states, dark=".dark"))  # noqa: S308  the kernel escapes what clients wrote
