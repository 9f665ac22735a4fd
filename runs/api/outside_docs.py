"""What the OpenAPI document says of ending steps from outside, and of events."""

from typing import Final

from drf_spectacular.types import OpenApiTypes

from flowforge.api.operations import AT, Operation, asked, given, query
from runs.api.docs import PROJECT, RUN, STEP, WHOLE, WORKFLOW
from runs.api.serializers import (
    ApprovalShown,
    DecisionBody,
    OutputBody,
    OverrideBody,
    ProjectEventShown,
    PublishBody,
    PublishedShown,
    RunShown,
)
from workflows.bodies import DecisionShown

_APPROVAL: Final = {
    "id": STEP,
    "step_id": STEP,
    "run_id": RUN,
    "node_id": "review",
    "project_id": PROJECT,
    "workflow_id": WORKFLOW,
    "workflow_name": "Daily import",
    "title": "Large day",
    "instructions": None,
    "form": {"type": "object", "properties": {"comment": {"type": "string"}}},
    "assignees": ["operator"],
    "requested_at": AT,
    "expires_at": AT,
}
_EVENT: Final = {
    "id": "01981f5e-5b5c-7d3e-8f9a-0b1c2d3e4f5a",
    "project_id": PROJECT,
    "event": "order.paid",
    "payload": {"order": "A-17"},
    "source": "key:01981f5e-0000-7000-8000-000000000003",
    "matched": 1,
    "started": 1,
    "created_at": AT,
}

_DECIDED: Final = {
    "id": "01981f5e-5b5c-7d3e-8f9a-0b1c2d3e4f5b",
    "at": AT,
    "decision": "fired",
    "reason": "matched",
    "detail": f"step {STEP}",
    "due_at": None,
    "until_at": None,
    "run_id": RUN,
}

APPROVALS: Final[Operation] = {
    "operation_id": "approvals_list",
    "summary": "List approvals that wait for the caller",
    "description": (
        "Newest first: those without assignees, and those that name the caller or its role in their project. An API "
        "key is no person: it gets those without."
    ),
    "parameters": [
        query("project_id", "Of this project.", OpenApiTypes.UUID),
        query("workflow_id", "Of this workflow's runs.", OpenApiTypes.UUID),
        query("run_id", "Of this run.", OpenApiTypes.UUID),
    ],
    "responses": ApprovalShown(many=True),
    "examples": [given(_APPROVAL)],
}
APPROVE: Final[Operation] = {
    "operation_id": "runs_steps_approve",
    "summary": "Approve",
    "description": (
        "Decides an approval, once: decided already, or out of time: 409. `data` has to fit the approval's form (422). "
        "Where it has assignees, only they may decide (403)."
    ),
    "request": DecisionBody,
    "responses": {202: RunShown},
    "examples": [asked({"data": {"comment": "checked"}}), given(WHOLE, "202")],
}
REJECT: Final[Operation] = {
    "operation_id": "runs_steps_reject",
    "summary": "Reject",
    "description": (
        "As `:approve`, the other way; the form need not be filled in. A rejection that no edge takes fails the step "
        "with `approval_rejected`."
    ),
    "request": DecisionBody,
    "responses": {202: RunShown},
    "examples": [asked({"data": {"comment": "too large"}}), given(WHOLE, "202")],
}
COMPLETE: Final[Operation] = {
    "operation_id": "runs_steps_complete",
    "summary": "Complete a step that waits for something outside",
    "description": "Gives its output, once. An approval, a step that waits for a time, or one that does not wait: 409.",
    "request": OutputBody,
    "responses": {202: RunShown},
    "examples": [asked({"output": {"parcel": "delivered"}}), given(WHOLE, "202")],
}
OVERRIDE: Final[Operation] = {
    "operation_id": "runs_steps_override",
    "summary": "Force a step's result",
    "description": (
        "Of a step that is waiting, retrying or pending: the run goes on as if the step had given `output`. The "
        "history keeps the reason and who it was. Not ready yet, running or ended: 409."
    ),
    "request": OverrideBody,
    "responses": {202: RunShown},
    "examples": [
        asked({"output": {"status": 200}, "reason": "The partner confirmed by telephone."}),
        given(WHOLE, "202"),
    ],
}
PUBLISH: Final[Operation] = {
    "operation_id": "events_publish",
    "summary": "Publish an event",
    "description": (
        "Ends the `wait_event` steps of the project that wait for it and whose `match` holds; `matched` counts them. "
        "Starts a run for each event trigger that asks for it; `started` counts them, `run_ids` names the first 100. "
        "What was published before a step began to wait doesn't count for it. `unclear` names steps whose `match` "
        "could not be evaluated: they wait on. The same `dedupe_key` within 24 hours gets the event that it has (200)."
    ),
    "request": PublishBody,
    "responses": {202: PublishedShown, 200: PublishedShown},
    "examples": [
        asked({"event": "order.paid", "payload": {"order": "A-17"}, "dedupe_key": "payment-4711"}),
        given({**_EVENT, "unclear": [], "run_ids": [RUN]}, "202"),
        given({**_EVENT, "unclear": [], "run_ids": [RUN]}),
    ],
}
RETRIEVE_EVENT: Final[Operation] = {
    "operation_id": "events_retrieve",
    "summary": "Read an event",
    "description": "Kept for 30 days.",
    "responses": ProjectEventShown,
    "examples": [given(_EVENT)],
}
EVENT_DECISIONS: Final[Operation] = {
    "operation_id": "events_decisions",
    "summary": "List what became of an event",
    "description": (
        "Newest first: `fired` for each step that it ended, with the run, and for each run that a trigger started "
        "(`triggered`); `rejected` and `coalesced` where a trigger came to that; `skipped` if nothing came of it; "
        "`coalesced` with `same_key` also for each time that its `dedupe_key` came again."
    ),
    "responses": DecisionShown(many=True),
    "examples": [given(_DECIDED)],
}
