"""Telling that credentials have expired: once for each `expires_at`, whoever looks first."""

from datetime import datetime
from typing import Final

from django.db import transaction

from flowforge.core.clock import isoformat
from flowforge.credentials.models import Credential
from flowforge.events.outbound import CREDENTIAL_EXPIRED
from flowforge.events.services import record_event

LIMIT: Final = 500


def run_once(now: datetime, limit: int = LIMIT) -> int:
    """Publish `credential.expired` for what has expired; says how many were told here."""
    due = Credential.objects.filter(expires_at__lte=now, expiry_told_at=None, project__status="active")
    return sum(_tell(row, now) for row in due.order_by("expires_at")[:limit])


@transaction.atomic
def _tell(row: Credential, now: datetime) -> bool:
    """The guarded update says who does: of any number of processes, one."""
    known = Credential.objects.filter(pk=row.pk, expires_at=row.expires_at, expiry_told_at=None)
    if not known.update(expiry_told_at=now):
        return False
    payload = {
        "credential_id": str(row.pk),
        "project_id": str(row.project_id),
        "name": row.name,
        "type": row.type,
        "expires_at": isoformat(row.expires_at),
    }
    record_event(project_id=row.project_id, name=CREDENTIAL_EXPIRED, payload=payload, source=f"credential:{row.pk}")
    return True
