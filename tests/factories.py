"""Rows for tests, written straight to the tables: a test says what matters to it, the rest is filled in."""

import hashlib
import itertools
import secrets
from collections.abc import Collection, Mapping
from datetime import timedelta
from typing import Any

from flowforge.assets.models import Asset
from flowforge.assets.services import contents, spooling
from flowforge.assets.services.saving import create_asset
from flowforge.core import clock, json
from flowforge.core.ids import new_id, step_id
from flowforge.credentials.models import Credential
from flowforge.credentials.services.sealing import seal
from flowforge.kernel.states import ENDED_RUN_STATUSES
from flowforge.projects.constants import KEY_PREFIX, SCOPES
from flowforge.projects.models import ApiKey, Membership, Project, User
from flowforge.schedules.models import Backfill, Schedule
from flowforge.triggers.models import EventTrigger
from flowforge.workers.models import Worker
from runs.models import FailureGroup, Run, StepRun
from templates_app.models import StepTemplate, StepTemplateVersion
from workflows.models import Workflow, WorkflowVersion

PASSWORD = "a long password of tests"
DEFINITION: Mapping[str, Any] = {  # one step that needs nothing
    "nodes": [{"id": "only", "type": "transform", "config": {"values": {"answer": "{{ 42 }}"}}}],
    "edges": [],
}

_numbers = itertools.count(1)


def make_project(**fields: Any) -> Project:
    return Project.objects.create(**{"name": f"Project {next(_numbers)}", **fields})


def make_user(*, project: Project | None = None, role: str = "viewer", **fields: Any) -> User:
    """A person whose password is PASSWORD; with `project`, a member of it in that role."""
    user = User.objects.create_user(**{"username": f"person-{next(_numbers)}", "password": PASSWORD, **fields})
    if project is not None:
        Membership.objects.create(project=project, user=user, role=role)
    return user


def make_api_key(*, project: Project, scopes: Collection[str] = SCOPES, **fields: Any) -> tuple[ApiKey, str]:
    """The row, and the key that is sent."""
    key = KEY_PREFIX + secrets.token_urlsafe(32)
    row = ApiKey.objects.create(
        **{
            "project": project,
            "name": f"Key {next(_numbers)}",
            "prefix": key[:12],
            "key_hash": hashlib.sha256(key.encode()).hexdigest(),
            "scopes": list(scopes),
            **fields,
        }
    )
    return row, key


def make_workflow(*, project: Project, definition: Mapping[str, Any] = DEFINITION, **fields: Any) -> Workflow:
    """A workflow and its version 1. The definition is stored as given: it is not validated here."""
    workflow = Workflow.objects.create(**{"project": project, "name": f"Workflow {next(_numbers)}", **fields})
    make_version(workflow=workflow, version=workflow.version, definition=definition)
    return workflow


def make_version(
    *, workflow: Workflow, version: int, definition: Mapping[str, Any] = DEFINITION, **fields: Any
) -> WorkflowVersion:
    stored = {"config": {}, "input_schema": None, "output": None, **definition}
    digest = hashlib.sha256(json.canonical(stored)).hexdigest()
    return WorkflowVersion.objects.create(
        workflow=workflow, version=version, definition=stored, definition_hash=digest, **fields
    )


def make_run(*, workflow: Workflow, **fields: Any) -> Run:
    """A run of the workflow's current version, pending; no event is written and no bell rung."""
    trace = secrets.token_hex(16)
    if fields.get("status") in ENDED_RUN_STATUSES:
        fields.setdefault("finished_at", clock.now())
    return Run.objects.create(
        **{
            "project": workflow.project,
            "workflow": workflow,
            "version": workflow.versions.get(version=workflow.version),
            "workflow_version": workflow.version,
            "trace_id": trace,
            "traceparent": f"00-{trace}-{secrets.token_hex(8)}-01",
            **fields,
        }
    )


def make_step(*, run: Run, node_id: str = "only", **fields: Any) -> StepRun:
    return StepRun.objects.create(
        **{"id": step_id(run.id, node_id), "run": run, "node_id": node_id, "status": "pending", **fields}
    )


def make_credential(*, project: Project, data: Mapping[str, str | int] | None = None, **fields: Any) -> Credential:
    """A token that may be sent anywhere."""
    row = Credential(project=project, **{"name": f"secret_{next(_numbers)}", "type": "token", "hosts": ["*"], **fields})
    row.data_ciphertext = seal(row, data or {"token": "the token of tests"})
    row.save(force_insert=True)
    return row


def make_template(*, project: Project, **fields: Any) -> StepTemplate:
    """A template of one version that adds its parameter `x` to a value; content is stored unchecked."""
    content = {
        "step_type": "transform",
        "config": {"values": {"sum": "{{ parameters.x + 1 }}"}},
        "parameters": {"properties": {"x": {"type": "integer", "default": 1}}},
        "retry": None,
        "timeout": None,
    }
    content |= {name: fields.pop(name) for name in list(fields) if name in content}
    row = StepTemplate.objects.create(
        **{"project": project, "name": f"Template {next(_numbers)}", "step_type": content["step_type"], **fields}
    )
    StepTemplateVersion.objects.create(template=row, version=row.version, **content)
    return row


def make_asset(*, project: Project, content: bytes = b"a,b\n1,2\n", **fields: Any) -> Asset:
    """An asset at version 1, a dataset unless said otherwise, its content where it belongs."""
    given = {"type": "dataset", "label": f"Asset {next(_numbers)}", "content_type": "text/csv", **fields}
    with spooling.spool() as spool:
        come = spooling.spooled(spool, [content])
        with contents.prepared(project.pk, given["type"], come) as ready:
            return create_asset(project=project, actor="test", given=given, content=ready)


def make_failure(*, workflow: Workflow, **fields: Any) -> FailureGroup:
    """A group of failures of some step of the workflow; none of its runs."""
    moments = {"first_seen_at": clock.now(), "last_seen_at": clock.now()}
    return FailureGroup.objects.create(
        **{
            "id": new_id(),
            "project": workflow.project,
            "workflow": workflow,
            "node_id": "load",
            "code": "timeout",
            "message": "waited <n> s",
            "count": 3,
            "sample_run_id": new_id(),
            **moments,
            **fields,
        }
    )


def unknown_id() -> str:
    """An id that no row has."""
    return str(new_id())


def make_event_trigger(*, workflow: Workflow, event: str, **fields: Any) -> EventTrigger:
    known = {"project": workflow.project, "workflow": workflow, "name": f"Trigger {next(_numbers)}", "event": event}
    return EventTrigger.objects.create(**{**known, **fields})


def make_schedule(*, workflow: Workflow, **fields: Any) -> Schedule:
    """A schedule that is due every minute, next at the coming one; no row of beat is made."""
    now = clock.now()
    coming = (now + timedelta(minutes=1)).replace(second=0, microsecond=0)
    return Schedule.objects.create(
        **{
            "project": workflow.project,
            "workflow": workflow,
            "name": f"Schedule {next(_numbers)}",
            "kind": "cron",
            "cron": "* * * * *",
            "next_due_at": coming,
            "next_run_at": coming,
            **fields,
        }
    )


def make_backfill(*, schedule: Schedule, **fields: Any) -> Backfill:
    """A backfill of an hour that is to go on."""
    begin = clock.now().replace(minute=0, second=0, microsecond=0) - timedelta(hours=1)
    span = {"from_at": begin, "to_at": begin + timedelta(hours=1), "next_due_at": begin}
    return Backfill.objects.create(**{"schedule": schedule, "total": 60, **span, **fields})


def make_worker(**fields: Any) -> Worker:
    """A worker process that has just told that it lives."""
    number, now = next(_numbers), clock.now()
    pool = {"slots": 4, "busy": 0, "heard_at": clock.isoformat(now), "hint_at": None}
    known = {"name": f"host:{number}:abcdef", "host": "host", "pid": number, "version": "1", "isolation": "limits"}
    life = {"started_at": now, "heartbeat_at": now, "swept_at": now}
    return Worker.objects.create(**{**known, **life, "pools": {"default": pool}, **fields})
