"""Where the answers to requests with an Idempotency-Key are kept: a table, so that they outlive every process.

Bodies are sealed at rest: among them are keys and secrets that are shown once.
"""

import base64
import functools
from collections.abc import Mapping
from datetime import datetime, timedelta

from cryptography.fernet import Fernet, MultiFernet
from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models import Q

from flowforge.api.idempotency import KEEP, LOCK_SECONDS, Claimed, Mismatch, Replay, Running
from flowforge.core import crypto
from flowforge.projects.models import IdempotencyRecord


class DatabaseStore:
    """The `IdempotencyStore` of `flowforge.api.idempotency`: what each method promises stands there."""

    def claim(self, *, scope: str, key: str, request_hash: str, now: datetime) -> Claimed | Replay | Running | Mismatch:
        locked_until = now + timedelta(seconds=LOCK_SECONDS)
        fresh = {
            "request_hash": request_hash,
            "locked_until": locked_until,
            "status_code": None,
            "headers": {},
            "body": None,
            "created_at": now,
            "expires_at": now + KEEP,
        }
        while True:
            if _insert(scope, key, fresh) or _take_over(scope, key, fresh, now):
                return Claimed(locked_until=locked_until)
            record = IdempotencyRecord.objects.filter(scope=scope, key=key).first()
            if record is not None:
                return _outcome(record, request_hash)
            # released between the two statements: the insert will now succeed

    def finish(
        self, *, scope: str, key: str, locked_until: datetime, status: int, headers: Mapping[str, str], body: bytes
    ) -> bool:
        kept = IdempotencyRecord.objects.filter(scope=scope, key=key, locked_until=locked_until).update(
            status_code=status, headers=dict(headers), body=_seals().encrypt(body)
        )
        return kept == 1

    def release(self, *, scope: str, key: str, locked_until: datetime) -> None:
        IdempotencyRecord.objects.filter(scope=scope, key=key, locked_until=locked_until, status_code=None).delete()


def purge(*, now: datetime, limit: int) -> int:
    """Delete at most `limit` records that have expired; says how many."""
    expired = IdempotencyRecord.objects.filter(expires_at__lte=now).order_by("expires_at")
    deleted, _ = IdempotencyRecord.objects.filter(pk__in=list(expired.values_list("pk", flat=True)[:limit])).delete()
    return deleted


def _insert(scope: str, key: str, fresh: Mapping[str, object]) -> bool:
    """The unique constraint decides who is first."""
    try:
        with transaction.atomic():
            IdempotencyRecord(scope=scope, key=key, **fresh).save(force_insert=True)
    except IntegrityError:
        return False
    return True


def _take_over(scope: str, key: str, fresh: Mapping[str, object], now: datetime) -> bool:
    """One guarded update: of a record that has expired, or whose first call died with the same request in hand."""
    abandoned = Q(status_code=None, locked_until__lte=now, request_hash=fresh["request_hash"])
    taken = IdempotencyRecord.objects.filter(Q(expires_at__lte=now) | abandoned, scope=scope, key=key).update(**fresh)
    return taken == 1


def _outcome(record: IdempotencyRecord, request_hash: str) -> Replay | Running | Mismatch:
    if record.request_hash != request_hash:
        return Mismatch()
    if record.status_code is None or record.body is None or record.locked_until is None:
        return Running(locked_until=record.locked_until or record.expires_at)
    return Replay(status=record.status_code, headers=record.headers, body=_seals().decrypt(bytes(record.body)))


def _seals() -> MultiFernet:
    return _ring(settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS)


@functools.cache
def _ring(*secret_keys: str) -> MultiFernet:
    keys = (base64.urlsafe_b64encode(crypto.derive(secret, "idempotency")) for secret in secret_keys)
    return MultiFernet([Fernet(key) for key in keys])
