"""Telling the sinks of events that are appended outside of the engine: by services, in their transaction."""

import uuid
from collections.abc import Sequence

from flowforge.events import sinks
from flowforge.events.sinks import Happening, Source
from runs.models import Run, RunEvent


def tell_of(project_id: uuid.UUID, runs: Sequence[Run], events: Sequence[RunEvent]) -> None:
    """`events`: one of each of these runs, all of one project, in their order."""
    if not events or not sinks.wanted(project_id, [event.event for event in events]):
        return
    sinks.tell(
        project_id,
        [
            Happening(
                event=event.event,
                at=event.at,
                data=event.data,
                source=Source(run_id=run.id, workflow_id=run.workflow_id, version_id=run.version_id),
            )
            for run, event in zip(runs, events, strict=True)
        ],
    )
