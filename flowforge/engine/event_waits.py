"""Project events as the engine meets them: steps that publish some, steps that wait for one.

A step waits from the moment at which it says so, but it is seen by who publishes only once its row is committed. So
whoever commits such rows looks back at the events of that moment before it lets the run go: an event and a wait that
cross are found by one of the two.
"""

import uuid
from collections.abc import Callable, Iterable, Mapping

from flowforge.core.json import Json
from flowforge.engine.outages import told_apart
from flowforge.engine.store.rows import ClaimedRun, StepRow
from flowforge.steps.base import Published
from flowforge.steps.wait_event import PREFIX
from runs.services.publishing import match_earlier_events, publish_event


class ProjectEvents:
    """The `EventPort` of one step; what it publishes is stored without the values of credentials."""

    def __init__(
        self,
        project_id: uuid.UUID,
        step_id: uuid.UUID,
        without_secrets: Callable[[Mapping[str, Json]], Mapping[str, Json]],
    ) -> None:
        self._without_secrets = without_secrets
        self._project_id = project_id
        self._source = f"step:{step_id}"

    def publish(self, *, event: str, payload: Mapping[str, Json], key: str) -> Published:
        """Once for each `key`, as long as events are kept."""
        with told_apart():
            done = publish_event(
                project_id=self._project_id,
                name=event,
                payload=self._without_secrets(payload),
                source=self._source,
                dedupe_key=f"step:{key}",  # clients' keys have another prefix: nobody can take this one before
                window=None,
            )
        return Published(id=str(done.event.id), matched=done.matched, unclear=len(done.unclear))


def listening(rows: Iterable[StepRow]) -> list[StepRow]:
    """Those that wait for an event which has not come."""
    return [
        row for row in rows if row.status == "waiting" and row.waits_for.startswith(PREFIX) and row.resolution is None
    ]


def look_back(run: ClaimedRun, rows: Iterable[StepRow]) -> None:
    """Give steps that listen the events that came while their rows were on their way to the database."""
    for row in rows:
        if row.started_at is not None:
            match_earlier_events(
                run_id=run.id,
                project_id=run.project_id,
                step_id=row.id,
                name=row.waits_for.removeprefix(PREFIX),
                since=row.started_at,
            )
