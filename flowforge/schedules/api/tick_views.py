"""What schedules do: run now, backfill, preview, explain, decisions, simulate."""

import uuid
from datetime import UTC, datetime
from itertools import islice

from django.http import HttpResponse
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request

from flowforge.api.idempotency import idempotent
from flowforge.api.pagination import Page
from flowforge.api.serializers import body
from flowforge.core import clock
from flowforge.core.errors import Conflict, InvalidQuery
from flowforge.kernel.schedules.zones import moment_of, zone_of
from flowforge.operating.selectors import require_engine
from flowforge.schedules import explanation, present, selectors, simulating
from flowforge.schedules.api import docs
from flowforge.schedules.api.serializers import BackfillBody, EmptyBody, SimulateBody, TriggerBody
from flowforge.schedules.api.views import READ, WRITE, ScheduleViews
from flowforge.schedules.constants import MAX_PREVIEW, TRIGGER
from flowforge.schedules.models import Backfill, Schedule
from flowforge.schedules.recurrences import recurrence_of
from flowforge.schedules.services import backfills
from flowforge.schedules.services.backfills import Span
from flowforge.schedules.services.manual import trigger_schedule
from runs.selectors import show_new_run
from workflows import decisions

DEFAULT_PREVIEW = 5


class TickViewSet(ScheduleViews):
    """`/v1/schedules/{id}:trigger`, `/preview`, `/explain`, `/decisions` and `/v1/schedules:simulate`."""

    scopes = {"trigger": WRITE, "preview": READ, "explain": READ, "decisions": READ, "simulate": READ}
    rate_buckets = {"trigger": "runs"}
    query_params = {"preview": ("count",)}
    errors = {"preview": (409,)}

    @extend_schema(**docs.TRIGGER)
    @idempotent
    def trigger(self, request: Request, schedule_id: uuid.UUID) -> HttpResponse:
        """Start a run of a schedule now.

        It is no due time: neither `overlap` nor a pause of the schedule has a say.
        """
        self.current(schedule_id, WRITE)
        require_engine()
        given = body(TriggerBody, request)
        run = trigger_schedule(schedule_id=schedule_id, actor=self.caller.actor, inputs=given.get("inputs"))
        return self.accepted(show_new_run(run), f"/v1/runs/{run.pk}")

    @extend_schema(**docs.PREVIEW)
    def preview(self, request: Request, schedule_id: uuid.UUID) -> HttpResponse:
        """List the next due times of a schedule.

        As if it were not paused.
        """
        row = self.current(schedule_id)
        try:
            recurrence, zone = recurrence_of(row), zone_of(row.timezone)
        except ValueError as error:
            raise Conflict(detail=f"Nobody can say when it is due: {error}.") from error
        found = islice(recurrence.dues(clock.now()), self._count())
        return self.ok(
            [{**present.due(due, zone), "run_at": clock.isoformat(recurrence.fires_at(due.at))} for due in found]
        )

    @extend_schema(**docs.EXPLAIN)
    def explain(self, request: Request, schedule_id: uuid.UUID) -> HttpResponse:
        """Explain why a schedule does not move, or when it will."""
        self.current(schedule_id)
        row = Schedule.objects.select_related("workflow__project").get(pk=schedule_id)
        return self.ok(explanation.explain(row, clock.now()))

    @extend_schema(**docs.DECISIONS)
    def decisions(self, request: Request, schedule_id: uuid.UUID) -> HttpResponse:
        """List what a schedule did with its due times, newest first."""
        row = self.current(schedule_id)
        page = self.page(decisions.decisions_of(TRIGGER, str(row.pk)))
        return self.ok(Page(rows=[decisions.show(found) for found in page.rows], meta=page.meta))

    @extend_schema(**docs.SIMULATE)
    def simulate(self, request: Request) -> HttpResponse:
        """Play a schedule that need not exist.

        The very rules that fire schedules, over any span: due times with what daylight saving does to them, and what
        `overlap` and `catch_up` would make of each.
        """
        given = body(SimulateBody, request)
        steps, zone = simulating.simulate(given)
        return self.ok([present.step(found, zone) for found in steps])

    def _count(self) -> int:
        text = self.request.GET.get("count", str(DEFAULT_PREVIEW))
        if not text.isascii() or not text.isdecimal() or not 1 <= int(text[:9]) <= MAX_PREVIEW:
            raise InvalidQuery(detail=f"count is 1 to {MAX_PREVIEW}.")
        return int(text)


class BackfillViewSet(ScheduleViews):
    """`/v1/schedules/{id}:backfill`, `/backfills`, `/backfills/{id}` and its `:cancel`."""

    scopes = {"create": WRITE, "list": READ, "retrieve": READ, "cancel": WRITE}
    errors = {"cancel": (409,)}

    @extend_schema(**docs.BACKFILL)
    @idempotent
    def create(self, request: Request, schedule_id: uuid.UUID) -> HttpResponse:
        """Run a schedule for a stretch of the past.

        Each of its due times there gets its run, unless it has one: a few at a time, oldest first, until all have one
        or it is cancelled.
        """
        row = self.current(schedule_id, WRITE)
        require_engine()
        given = body(BackfillBody, request)
        span = Span(begin=_moment(row, given["from"]), end=_moment(row, given["to"]))
        made = backfills.start_backfill(schedule_id=schedule_id, span=span, actor=self.caller.actor)
        return self.accepted(present.backfill(made), f"/v1/schedules/{schedule_id}/backfills/{made.pk}")

    @extend_schema(**docs.BACKFILLS)
    def list(self, request: Request, schedule_id: uuid.UUID) -> HttpResponse:
        """List the backfills of a schedule, newest first."""
        row = self.current(schedule_id)
        page = self.page(Backfill.objects.filter(schedule=row))
        return self.ok(Page(rows=[present.backfill(found) for found in page.rows], meta=page.meta))

    @extend_schema(**docs.BACKFILL_READ)
    def retrieve(self, request: Request, schedule_id: uuid.UUID, backfill_id: uuid.UUID) -> HttpResponse:
        """Read a backfill: how far it has come."""
        self.current(schedule_id)
        shown = present.backfill(selectors.get_backfill(schedule_id, backfill_id))
        return self.ok(shown, etag_of=shown)

    @extend_schema(**docs.BACKFILL_CANCEL)
    def cancel(self, request: Request, schedule_id: uuid.UUID, backfill_id: uuid.UUID) -> HttpResponse:
        """Cancel a backfill: it starts no more runs, those that live go on."""
        self.current(schedule_id, WRITE)
        body(EmptyBody, request)
        return self.ok(present.backfill(backfills.cancel_backfill(schedule_id=schedule_id, backfill_id=backfill_id)))


def _moment(row: Schedule, found: datetime) -> datetime:
    """A moment of a body: without an offset, a local time of the schedule's zone."""
    return moment_of(zone_of(row.timezone), found) if found.tzinfo is None else found.astimezone(UTC)
