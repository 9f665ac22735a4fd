"""A run of a schedule because a person asked for it, now."""

import uuid
from collections.abc import Mapping

from django.db import transaction

from flowforge.core import clock
from flowforge.core.json import Json
from flowforge.schedules.constants import TRIGGER
from flowforge.schedules.models import Schedule
from flowforge.schedules.services.firing import trigger_of
from flowforge.schedules.services.starting import metadata_of
from runs.models import Run
from runs.services.start import Trigger, start_run
from workflows.services.decisions import Decision, record_decisions


@transaction.atomic
def trigger_schedule(*, schedule_id: uuid.UUID, actor: str, inputs: Mapping[str, Json] | None = None) -> Run:
    """Start a run with the schedule's inputs, those given going over them. It is no due time: overlap says nothing.

    Raises Conflict (409) if the workflow or its project takes no runs, InvalidBody (422) if the inputs don't fit.
    """
    schedule = Schedule.objects.select_related("workflow__project").get(pk=schedule_id)
    started = start_run(
        workflow=schedule.workflow,
        inputs={**schedule.inputs, **(inputs or {})},
        caller_actor=actor,
        trigger=Trigger(type=TRIGGER, id=str(schedule_id)),
        metadata=metadata_of(schedule, None),
    )
    decision = Decision(decision="fired", reason="manual", detail=f"Asked for by {actor}.", run_id=started.run.id)
    record_decisions(trigger=trigger_of(schedule), decisions=[decision], now=clock.now())
    return started.run
