"""Steering runs after they were accepted: again, anew, sooner, many at once."""

import uuid
from dataclasses import asdict

from django.http import HttpResponse
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request

from flowforge.api.idempotency import idempotent
from flowforge.api.serializers import body
from flowforge.core.json import Json
from flowforge.operating.views import SteeringViews
from runs import selectors
from runs.api import steering_docs as docs
from runs.api.bulk_filters import chosen_runs
from runs.api.serializers import BulkBody, NoBody, PriorityBody, ReplayBody
from runs.api.views import WRITE, RunViewSet
from runs.services import BulkResult, change_priority, replay_run, retry_run, run_now, steer_runs


class SteeringViewSet(RunViewSet):
    """`/v1/runs/{id}`, and `:retry`, `:replay` and `:run_now` of it."""

    scopes = {**RunViewSet.scopes, "partial_update": WRITE, "retry": WRITE, "replay": WRITE, "run_now": WRITE}
    rate_buckets = {"retry": "runs", "replay": "runs"}
    errors = {"partial_update": (409,), "retry": (409,), "replay": (409,), "run_now": (409,)}

    @extend_schema(**docs.PATCH)
    def partial_update(self, request: Request, run_id: uuid.UUID) -> HttpResponse:
        given = body(PriorityBody, request)
        selectors.get_run(self.caller, run_id, WRITE)
        change_priority(
            run_id=run_id, priority=given["priority"], check=lambda: self.check_if_match(self.shown(run_id))
        )
        shown = self.shown(run_id)
        return self.ok(shown, etag_of=shown)

    @extend_schema(**docs.RETRY)
    def retry(self, request: Request, run_id: uuid.UUID) -> HttpResponse:
        body(NoBody, request)
        selectors.get_run(self.caller, run_id, WRITE)
        retry_run(run_id=run_id, caller_actor=self.caller.actor)
        return self.answer_asked(run_id)

    @extend_schema(**docs.REPLAY)
    @idempotent
    def replay(self, request: Request, run_id: uuid.UUID) -> HttpResponse:
        given = body(ReplayBody, request)
        selectors.get_run(self.caller, run_id, WRITE)
        started = replay_run(run_id=run_id, caller_actor=self.caller.actor, **given)
        return self.answer_asked(started.run.id)

    @extend_schema(**docs.RUN_NOW)
    def run_now(self, request: Request, run_id: uuid.UUID) -> HttpResponse:
        return self._ask(run_id, run_now)


class BulkViewSet(SteeringViews):
    """`/v1/runs:bulk`."""

    scopes = {"bulk": WRITE}

    @extend_schema(**docs.BULK)
    def bulk(self, request: Request) -> HttpResponse:
        given = body(BulkBody, request)
        runs = chosen_runs(self.caller, given["filter"], WRITE)
        action, dry_run = given["action"], given["dry_run"]
        result = steer_runs(action=action, runs=runs, caller_actor=self.caller.actor, dry_run=dry_run)
        return self.ok({"action": action, "dry_run": dry_run, **show_result(result)})


def show_result(result: BulkResult) -> dict[str, Json]:
    """`{matched, done, skipped, reasons, has_more}`."""
    shown: dict[str, Json] = asdict(result)
    reasons = result.skipped
    return {**shown, "skipped": sum(reasons.values()), "reasons": dict(reasons)}
