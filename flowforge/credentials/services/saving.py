"""Creating, changing and removing credentials."""

import uuid
from collections.abc import Callable, Mapping
from typing import Any

from django.db import IntegrityError, transaction

from flowforge.api.caller import Caller
from flowforge.core import clock
from flowforge.core.errors import Conflict, Fault, InvalidBody, NotFound
from flowforge.credentials.models import Credential
from flowforge.credentials.services import checking
from flowforge.credentials.services.sealing import seal
from flowforge.projects.models import Project
from flowforge.projects.selectors import require_active
from flowforge.steps.hosts import ANYWHERE

Precondition = Callable[[Credential], None]
"""Called under the lock with the credential that is about to change; raises to stop (If-Match)."""


def create_credential(*, project: Project, caller: Caller, given: Mapping[str, Any]) -> Credential:
    """A credential of the project. `given`: fields of the contract; without `hosts` it may be sent anywhere.

    Raises InvalidBody (422) with all faults, Conflict (409) for a name that is taken.
    """
    now = clock.now()
    _check(given["type"], given["data"])
    row = Credential(
        project=project,
        name=given["name"],
        type=given["type"],
        hosts=given.get("hosts", [ANYWHERE]),
        expires_at=given.get("expires_at"),
        created_by=caller.actor,
        updated_by=caller.actor,
        created_at=now,
        updated_at=now,
    )
    row.data_ciphertext = seal(row, given["data"])
    with transaction.atomic():
        return _stored(row, force_insert=True)


def update_credential(
    *, credential_id: uuid.UUID, caller: Caller, given: Mapping[str, Any], precondition: Precondition | None = None
) -> Credential:
    """Change what is given; `data` replaces all that it held. Steps that begin from now on see it.

    Raises InvalidBody (422), NotFound, Conflict (409), and what `precondition` raises.
    """
    now = clock.now()
    with transaction.atomic():
        row = _lock(credential_id, precondition)
        kind = given.get("type", row.type)
        if kind != row.type and "data" not in given:
            detail = "Another type holds other data: send it too."
            raise InvalidBody(faults=[Fault(pointer="/data", code="required", detail=detail)])
        row.type = kind
        row.name = given.get("name", row.name)
        row.hosts = given.get("hosts", row.hosts)
        if "expires_at" in given and given["expires_at"] != row.expires_at:
            row.expires_at, row.expiry_told_at = given["expires_at"], None
        if "data" in given:
            _check(kind, given["data"])
            row.data_ciphertext = seal(row, given["data"])
        row.updated_at, row.updated_by = now, caller.actor
        return _stored(row)


@transaction.atomic
def delete_credential(*, credential_id: uuid.UUID, precondition: Precondition | None = None) -> None:
    """Remove it for good. Steps that name it fail with `credential_unknown` from now on."""
    _lock(credential_id, precondition, archived_too=True).delete()


def _check(kind: str, data: Mapping[str, Any]) -> None:
    if faults := checking.faults_of(kind, data):
        raise InvalidBody(faults=faults)


def _lock(credential_id: uuid.UUID, precondition: Precondition | None, *, archived_too: bool = False) -> Credential:
    rows = Credential.objects.select_related("project").filter(pk=credential_id)
    row = rows.select_for_update(of=("self",)).first()
    if row is None:
        raise NotFound
    if not archived_too:
        require_active(row.project)
    if precondition is not None:
        precondition(row)
    return row


def _stored(row: Credential, *, force_insert: bool = False) -> Credential:
    """In a savepoint of its own: a name that is taken leaves the transaction usable."""
    try:
        with transaction.atomic():
            row.save(force_insert=force_insert)
    except IntegrityError as error:
        if "credential" in str(error) and "name" in str(error):
            raise Conflict(detail=f"The project has a credential named {row.name!r} already.") from error
        raise
    return row
