"""Telling the sinks of what a commit appends to a run's history: within its transaction, and where one wants it."""

from collections.abc import Callable, Sequence

from flowforge.engine.store.rows import ClaimedRun, EventRow
from flowforge.events import sinks
from flowforge.events.sinks import Happening, Source

Along = Callable[[], None]


def telling(run: ClaimedRun, events: Sequence[EventRow], along: Along | None = None) -> Along | None:
    """What has to be done in the transaction that appends these events, after `along`; `along` where nobody listens."""
    if not events or not sinks.wanted(run.project_id, [event.event for event in events]):
        return along
    return lambda: _tell(run, events, along)


def tell(run: ClaimedRun, events: Sequence[EventRow]) -> None:
    """The same at once: for whoever has a transaction open and learns only there what is appended."""
    done = telling(run, events)
    if done is not None:
        done()


def _tell(run: ClaimedRun, events: Sequence[EventRow], along: Along | None) -> None:
    if along is not None:
        along()
    source = Source(run_id=run.id, workflow_id=run.workflow_id, version_id=run.version_id)
    sinks.tell(
        run.project_id,
        [
            Happening(event=event.event, at=event.at, data=event.data, step_id=event.step_id, source=source)
            for event in events
        ],
    )
