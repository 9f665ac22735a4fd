"""Creating, changing and archiving step templates. Every change of the content is a new version."""

import uuid
from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from typing import Any

from django.db import IntegrityError, transaction

from flowforge.api.caller import Caller
from flowforge.core import clock
from flowforge.core.errors import Conflict, Fault, InvalidBody, NotFound
from flowforge.projects.models import Project
from flowforge.projects.selectors import require_active
from templates_app.constants import CONTENT_FIELDS
from templates_app.models import StepTemplate, StepTemplateVersion
from templates_app.ports import users_count
from templates_app.selectors import get_version
from templates_app.services.checking import Content, faults_of

Precondition = Callable[[StepTemplate], None]
"""Called under the lock with the template that is about to change; raises to stop (If-Match)."""


def create_template(*, project: Project, caller: Caller, given: Mapping[str, Any]) -> StepTemplateVersion:
    """A template at version 1. `given`: fields of the contract.

    Raises InvalidBody (422) with all faults, Conflict (409) for a name that is taken.
    """
    content = Content(**{name: given[name] for name in CONTENT_FIELDS if name in given})
    _check(given.get("name"), content, project)
    now = clock.now()
    row = StepTemplate(
        project=project,
        name=given["name"],
        description=given.get("description", ""),
        step_type=content.step_type,
        created_at=now,
        updated_at=now,
    )
    with transaction.atomic():
        _stored(row, force_insert=True)
        return _add_version(row, content, caller)


def update_template(
    *, template_id: uuid.UUID, caller: Caller, given: Mapping[str, Any], precondition: Precondition | None = None
) -> StepTemplateVersion:
    """Change what is given; a changed content becomes a new version. Workflows keep the version that they have.

    Raises InvalidBody (422), NotFound, Conflict (409), and what `precondition` raises.
    """
    with transaction.atomic():
        row = _lock(template_id, precondition)
        current = get_version(row.pk, row.version)
        before = Content.of(current)
        content = replace(before, **{name: given[name] for name in CONTENT_FIELDS if name in given})
        _check(given.get("name"), content, row.project)
        changed = {name: given[name] for name in ("name", "description") if name in given}
        if "archived" in given and given["archived"] != (row.archived_at is not None):
            changed["archived_at"] = _archiving(row) if given["archived"] else None
        is_new = not content.is_same_as(before)
        if is_new:
            changed |= {"version": row.version + 1, "step_type": content.step_type}
        _set(row, changed)
        if is_new:
            return _add_version(row, content, caller)
        current.template = row
        return current


@transaction.atomic
def archive_template(
    *, template_id: uuid.UUID, force: bool = False, precondition: Precondition | None = None
) -> StepTemplate:
    """No new node takes it from now on. Raises Conflict (409) while workflows use it, unless `force` says so.

    Nodes that have it go on with the version that they have.
    """
    row = _lock(template_id, precondition)
    if row.archived_at is None:
        _set(row, {"archived_at": clock.now() if force else _archiving(row)})
    return row


def _archiving(row: StepTemplate) -> Any:
    """The moment, if it may be now."""
    users = users_count(row.pk)
    if users:
        detail = f"{users} workflows use it: take it out of them, or give force=true, which leaves them as they are."
        raise Conflict(detail=detail, extra={"workflows": users})
    return clock.now()


def _check(name: str | None, content: Content, project: Project) -> None:
    faults = faults_of(content, project)
    if name is not None and _is_id(name):
        faults.append(Fault(pointer="/name", code="invalid", detail="A name that looks like an id is none."))
    if faults:
        raise InvalidBody(detail="The template is invalid.", faults=faults)


def _is_id(name: str) -> bool:
    try:
        uuid.UUID(name)
    except ValueError:
        return False
    return True


def _lock(template_id: uuid.UUID, precondition: Precondition | None) -> StepTemplate:
    rows = StepTemplate.objects.select_related("project").filter(pk=template_id)
    row = rows.select_for_update(of=("self",)).first()
    if row is None:
        raise NotFound
    require_active(row.project)
    if precondition is not None:
        precondition(row)
    return row


def _set(row: StepTemplate, values: Mapping[str, Any]) -> None:
    """Write what differs; `updated_at` moves only with something."""
    changed = {name: value for name, value in values.items() if getattr(row, name) != value}
    if not changed:
        return
    for name, value in (changed | {"updated_at": clock.now()}).items():
        setattr(row, name, value)
    _stored(row, update_fields=[*changed, "updated_at"])


def _stored(row: StepTemplate, **options: Any) -> None:
    """In a savepoint of its own: a name that is taken leaves the transaction usable."""
    try:
        with transaction.atomic():
            row.save(**options)
    except IntegrityError as error:
        if "name" in str(error):
            raise Conflict(detail=f"The project has a template named {row.name!r} already.") from error
        raise


def _add_version(row: StepTemplate, content: Content, caller: Caller) -> StepTemplateVersion:
    return StepTemplateVersion.objects.create(
        template=row, version=row.version, created_by_id=caller.user_id, **asdict(content)
    )
