"""Events that others publish."""

import functools
import uuid
from typing import Any

from django.http import HttpResponse
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request

from flowforge.api.idempotency import Later, idempotent
from flowforge.api.pagination import Page
from flowforge.api.serializers import body
from flowforge.core.errors import NotFound
from flowforge.core.json import Json
from flowforge.events.models import Event
from flowforge.events.services import Recorded, record_event
from flowforge.operating.views import SteeringViews
from flowforge.projects.selectors import resolve_project
from runs.api import outside_docs as docs
from runs.api.serializers import PublishBody
from runs.api.views import READ, WRITE
from runs.constants import MAX_STARTED_SHOWN, MAX_UNCLEAR_SHOWN
from runs.services import match_recorded
from runs.services.event_ledger import TRIGGER, runs_started_by
from runs.services.publishing import Publication
from workflows.decisions import decisions_of, show


class EventViewSet(SteeringViews):
    """`/v1/events`, `/v1/events/{id}` to look at one again, `/v1/events/{id}/decisions`: what became of it."""

    scopes = {"publish": WRITE, "retrieve": READ, "decisions": READ}
    rate_buckets = {"publish": "runs"}

    @extend_schema(**docs.PUBLISH)
    @idempotent
    def publish(self, request: Request) -> Later:
        given = body(PublishBody, request)
        project = resolve_project(self.caller, given.get("project_id"), scope=WRITE)
        recorded = self._record(project.pk, given)
        stored = Publication(event=recorded.event, created=recorded.created, matched=recorded.event.matched_count)
        return Later(stored=self._answer(stored), then=functools.partial(self._match, recorded))

    @extend_schema(**docs.RETRIEVE_EVENT)
    def retrieve(self, request: Request, event_id: uuid.UUID) -> HttpResponse:
        shown = _shown(self._current(event_id))
        return self.ok(shown, etag_of=shown)

    @extend_schema(**docs.EVENT_DECISIONS)
    def decisions(self, request: Request, event_id: uuid.UUID) -> HttpResponse:
        page = self.page(decisions_of(TRIGGER, str(self._current(event_id).pk)))
        return self.ok(Page(rows=[show(found) for found in page.rows], meta=page.meta))

    def _current(self, event_id: uuid.UUID) -> Event:
        event = Event.objects.filter(id=event_id, project_id__in=self.caller.project_ids).first()
        if event is None:
            raise NotFound
        self.caller.require(READ, event.project_id)
        return event

    def _record(self, project_id: uuid.UUID, given: dict[str, Any]) -> Recorded:
        key = given.get("dedupe_key")
        return record_event(
            project_id=project_id,
            name=given["event"],
            payload=given.get("payload", {}),
            source=self.caller.actor,
            dedupe_key=None if key is None else f"api:{key}",
        )

    def _match(self, recorded: Recorded) -> HttpResponse:
        """Once it is stored: many runs may have to be woken, each in a transaction of its own."""
        return self._answer(match_recorded(recorded))

    def _answer(self, done: Publication) -> HttpResponse:
        """202 for a new event; 200 for one that the dedupe key had."""
        unclear = [
            {"run_id": each.run_id, "step_id": each.step_id, "code": each.code, "message": each.message}
            for each in done.unclear[:MAX_UNCLEAR_SHOWN]
        ]
        runs = runs_started_by(done.event, MAX_STARTED_SHOWN) if done.event.started_count else []
        shown = _shown(done.event) | {"unclear": unclear, "run_ids": runs}
        return self.accepted(shown, f"/v1/events/{done.event.id}") if done.created else self.ok(shown)


def _shown(event: Event) -> dict[str, Json]:
    """An event as clients see it."""
    return {
        "id": event.id,
        "project_id": event.project_id,
        "event": event.name,
        "payload": event.payload,
        "source": event.source,
        "matched": event.matched_count,
        "started": event.started_count,
        "created_at": event.created_at,
    }
