"""What staff see of a run. Bounded, however many steps and events it has: the rest is a page or an API call away."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from flowforge.api.pagination import PageParams
from flowforge.core import clock, json
from flowforge.core.json import Json
from flowforge.projects.models import ApiKey, User
from flowforge.staff import shown
from runs import selectors
from runs.models import Run
from runs.present import Shown
from runs.timeline import timeline

STEPS_A_PAGE: Final = 100
HISTORY_LENGTH: Final = 200  # newest transitions
HISTORY_WINDOW: Final = 2000  # newest events, log lines among them, that are searched for transitions
_SHORT: Final = 1500  # characters: a document of so few is open from the beginning


def report(run: Run, page: int) -> dict[str, Any]:
    """The context of the template `staff/run.html`; `page` of the steps, from 1, is brought within what there is."""
    row = selectors.read_run(run.pk)
    if row is None:  # it was deleted a moment ago
        return {}
    count = len(selectors.step_places(row))
    pages = max(1, -(-count // STEPS_A_PAGE))
    page = min(max(page, 1), pages)
    found = selectors.page_of_steps(row, PageParams(listing=b"", limit=STEPS_A_PAGE, page=page))
    steps = _plain(found.rows)
    events = _plain(selectors.newest_transitions(run.pk, newest=run.event_seq, window=HISTORY_WINDOW))
    whole = _plain(selectors.show_run(row, with_steps=False))
    return {
        "row": whole,
        "duration": seconds_of(run),
        "starter": _starter(run.created_by),
        "picture": _picture(row, steps) if pages == 1 else None,
        "timeline": timeline(steps, events, clock.now()),
        "documents": _documents(whole, ("inputs", "outputs", "metadata")),
        "steps": [_step(step) for step in steps],
        "page": page,
        "pages": pages,
        "first_step": (page - 1) * STEPS_A_PAGE + 1,
        "step_count": count,
        "last_step": (page - 1) * STEPS_A_PAGE + len(steps),
        "events": [{**event, **_cause(event["data"])} for event in events[-HISTORY_LENGTH:]],
        "history_is_cut": run.event_seq > HISTORY_WINDOW or len(events) > HISTORY_LENGTH,
    }


def seconds_of(run: Run) -> float | None:
    """How long it took, or takes so far."""
    if run.started_at is None:
        return None
    return ((run.finished_at or clock.now()) - run.started_at).total_seconds()


def _starter(actor: str) -> str:
    """Who started it: the name behind `user:<id>` or `key:<id>`; anything else as it is."""
    kind, _, key = actor.partition(":")
    if kind == "user":
        return User.objects.filter(pk=key).values_list("username", flat=True).first() or actor
    if kind == "key":
        name = ApiKey.objects.filter(pk=key).values_list("name", flat=True).first()
        return f"API key {name}" if name else actor
    return actor


def _picture(row: Any, steps: Iterable[Shown]) -> Any:
    states = {step["node_id"]: step["status"] for step in steps if "index" not in step}
    return shown.picture(selectors.definition_of_run(row), states)


def _step(step: Shown) -> Shown:
    """As the template wants it: its documents as text, and whether it deserves to be seen at once."""
    return {
        **step,
        "documents": _documents(step, ("inputs", "output")),
        "is_open": step["status"] == "failed",
        "seconds": None if step["duration_ms"] is None else step["duration_ms"] / 1000,
    }


def _documents(holder: Mapping[str, Json], names: Iterable[str]) -> Sequence[tuple[str, str, bool]]:
    """(name, text, whether it is short) of those that hold something."""
    texts = [(name, shown.document(holder[name])) for name in names if holder[name] not in (None, {}, [])]
    return [(name, text, len(text) <= _SHORT) for name, text in texts]


def _cause(data: Mapping[str, Json]) -> dict[str, str]:
    """Which node an event is about, and why it came."""
    why = data["error"]["message"] if data.get("error") else data.get("reason")
    return {"node_id": data.get("node_id", ""), "why": why or ""}


def _plain(value: Json) -> Json:
    """The values themselves of what was made to go into an answer unread."""
    return json.loads_trusted(json.dumps(value))
