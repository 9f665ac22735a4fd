"""Starting runs of a workflow: one, many at once, and FlowAtGenAI's way."""

import functools
import uuid
from dataclasses import replace
from typing import Any

from django.http import HttpResponse
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request

from flowforge.api import problems
from flowforge.api.faults import faults_of, pointer
from flowforge.api.idempotency import Later, idempotent
from flowforge.api.pagination import Page
from flowforge.api.serializers import body
from flowforge.api.views import Bare
from flowforge.core.errors import Fault, FlowForgeError, InvalidBody
from flowforge.core.json import Json
from runs import present, selectors
from runs.api import docs
from runs.api.serializers import BatchBody, ExecuteBody, StartBody, StartItemBody
from runs.api.views import READ, WRITE, RunListViews
from runs.services import Origin, Started, StartItem, require_room, start_run, start_runs
from runs.waiting import wait_until_ended


class WorkflowRunViewSet(RunListViews):
    """`/v1/workflows/{id}:run`, `/runs` (also the listing), `/runs:batch` and `/execute`."""

    scopes = {"list": READ, "start": WRITE, "batch": WRITE, "execute": WRITE}
    rate_buckets = {"start": "runs", "batch": "runs", "execute": "runs"}
    bare = ("execute",)

    @extend_schema(**docs.START)
    @idempotent
    def start(self, request: Request, workflow_id: uuid.UUID) -> HttpResponse | Later:
        require_room()
        workflow = selectors.workflow_to_run(self.caller, workflow_id)
        given = body(StartBody, request)
        seconds = given.pop("wait", None)
        started = start_run(workflow=workflow, caller_actor=self.caller.actor, **{"inputs": {}, **given})
        answer = self._answer(started)
        if seconds is None:
            return answer
        return Later(stored=answer, then=functools.partial(self._answer_when_ended, started, seconds))

    @extend_schema(**docs.BATCH)
    @idempotent
    def batch(self, request: Request, workflow_id: uuid.UUID) -> HttpResponse:
        require_room()
        workflow = selectors.workflow_to_run(self.caller, workflow_id)
        items = [_read_item(given) for given in body(BatchBody, request)["items"]]
        answers = iter(
            start_runs(
                workflow=workflow,
                items=[item for item in items if isinstance(item, StartItem)],
                origin=Origin(actor=self.caller.actor),
            )
        )
        shown = [
            self._show_answer(index, next(answers) if isinstance(item, StartItem) else item)
            for index, item in enumerate(items)
        ]
        page = Page(rows=shown, meta={"cursor": None, "has_more": False})
        return self.ok(page, status=202, headers={"Location": f"/v1/workflows/{workflow_id}/runs"})

    @extend_schema(**docs.EXECUTE)
    @idempotent
    def execute(self, request: Request, workflow_id: uuid.UUID) -> HttpResponse:
        require_room()
        workflow = selectors.workflow_to_run(self.caller, workflow_id)
        given = body(ExecuteBody, request)
        try:
            started = start_run(
                workflow=workflow,
                inputs=given.get("input", {}),
                metadata=given.get("metadata"),
                caller_actor=self.caller.actor,
            )
        except InvalidBody as error:
            error.faults = [_as_input(fault) for fault in error.faults]
            raise
        answer = {"execution_id": str(started.run.id), "status": "RUNNING"}
        return Bare(answer, status=202, headers={"Location": f"/v1/runs/{started.run.id}"})

    def _answer(self, started: Started) -> HttpResponse:
        """202 for a new run, or one that debounce has made of several; 200 for one that the dedupe key had."""
        if started.created or started.joined:
            return self.accepted(selectors.show_new_run(started.run), f"/v1/runs/{started.run.id}")
        return self.ok(self.shown(started.run.id))

    def _answer_when_ended(self, started: Started, seconds: float) -> HttpResponse:
        """200 with the finished run; what an impatient caller gets if the time is up before."""
        ended = wait_until_ended(started.run.id, seconds)
        if ended or not (started.created or started.joined):
            return self.ok(self.shown(started.run.id))
        return self.answer_asked(started.run.id)

    def _show_answer(self, index: int, answer: Started | FlowForgeError) -> Json:
        if isinstance(answer, Started):
            return {"run": present.run(present.row_of(answer.run))}
        answer.faults = [fault.under(pointer("items", index)) for fault in answer.faults]
        return {"error": problems.problem(answer, self.request)}


def _read_item(given: dict[str, Any]) -> StartItem | FlowForgeError:
    """An item of a batch, or what is wrong with it."""
    serializer = StartItemBody(data=given)
    if not serializer.is_valid():
        return InvalidBody(faults=faults_of(serializer.errors))
    asked = serializer.validated_data
    return StartItem(**{name: value for name, value in asked.items() if value is not None})


def _as_input(fault: Fault) -> Fault:
    """A fault of the inputs where FlowAtGenAI's body has them."""
    return replace(fault, pointer="/input" + fault.pointer.removeprefix("/inputs"))
