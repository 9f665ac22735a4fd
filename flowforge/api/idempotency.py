"""Idempotency-Key: a creating POST that is sent twice is done once (after draft-ietf-httpapi-idempotency-key-header).

    @idempotent
    def create(self, request): ...

With the header the handler runs in a transaction that also stores its answer: a process that dies leaves either
both or neither. The claim is a lock that expires, so that a killed first call blocks nobody for ever.
"""

import functools
import hashlib
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final, Protocol, TypeVar

from django.conf import settings
from django.db import transaction
from django.http import HttpResponse
from django.utils.module_loading import import_string
from rest_framework.request import Request

from flowforge.api import problems
from flowforge.api.caller import Caller
from flowforge.core import clock
from flowforge.core.errors import Conflict, IdempotencyKeyReused, MalformedRequest

LOCK_SECONDS: Final = 30
KEEP: Final = timedelta(hours=24)
MAX_KEY_LENGTH: Final = 255
T = TypeVar("T")
A = TypeVar("A", bound=Callable[..., HttpResponse])
KEPT_HEADERS: Final = ("Content-Type", "Location", "ETag")


@dataclass(frozen=True, kw_only=True, slots=True)
class Claimed:
    """This call is the first, or the first to come after a lock expired: it does the work."""

    locked_until: datetime  # also the fence: `finish` and `release` do nothing once another call took over


@dataclass(frozen=True, kw_only=True, slots=True)
class Replay:
    """The work was done: this is its answer."""

    status: int
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, kw_only=True, slots=True)
class Running:
    """Another call holds the lock."""

    locked_until: datetime


@dataclass(frozen=True, kw_only=True, slots=True)
class Mismatch:
    """The key was used for another request."""


class LockLost(Conflict):
    """This call was so slow that another with the same key took its place."""


class IdempotencyStore(Protocol):
    """Where answers are kept. The class is named by `settings.IDEMPOTENCY_STORE` and made once, without arguments.

    A record is found by (scope, key). With a status it is done, whatever its lock says; it is forgotten `KEEP` after
    its claim, so that an expired one is claimed afresh.
    """

    def claim(self, *, scope: str, key: str, request_hash: str, now: datetime) -> Claimed | Replay | Running | Mismatch:
        """Insert the record or take over one whose lock expired, atomically and committed at once.

        The lock ends LOCK_SECONDS after `now`. Another request_hash is a Mismatch, also while the first call runs.
        """

    def finish(
        self, *, scope: str, key: str, locked_until: datetime, status: int, headers: Mapping[str, str], body: bytes
    ) -> bool:
        """Store the answer, if `locked_until` still is the record's (guarded update); False: another call took over.

        Runs in the transaction of the work; may be called again by the same call with a better answer.
        """

    def release(self, *, scope: str, key: str, locked_until: datetime) -> None:
        """Forget the record, if `locked_until` still is its: the work failed, a retry may begin afresh."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Later:
    """What a handler returns to do more after its work is committed (wait for a run, say).

    `stored` is kept with the work's transaction, so that a crash in between replays it; the answer of `then` is what
    the client gets, and replaces it.
    """

    stored: HttpResponse
    then: Callable[[], HttpResponse]


@dataclass(frozen=True, kw_only=True, slots=True)
class _Call:
    """One claimed call, and where its answer goes."""

    store: IdempotencyStore
    scope: str
    key: str
    locked_until: datetime

    def keep(self, response: HttpResponse) -> None:
        """Raises LockLost if the lock expired and another call took over: the work is rolled back then."""
        headers = {name: response[name] for name in KEPT_HEADERS if name in response}
        kept = self.store.finish(
            scope=self.scope,
            key=self.key,
            locked_until=self.locked_until,
            status=response.status_code,
            headers=headers,
            body=response.content,
        )
        if not kept:
            raise LockLost(detail="This took too long, and another call with the same Idempotency-Key took over.")

    def release(self) -> None:
        self.store.release(scope=self.scope, key=self.key, locked_until=self.locked_until)


Handler = Callable[..., HttpResponse | Later]


def idempotent(handler: Handler) -> Callable[..., HttpResponse]:
    """Make a viewset's creating action honour Idempotency-Key. Without the header nothing changes."""

    @functools.wraps(handler)
    def wrapper(view: Any, request: Request, *args: Any, **kwargs: Any) -> HttpResponse:
        key = request.META.get("HTTP_IDEMPOTENCY_KEY")
        work = functools.partial(handler, view, request, *args, **kwargs)
        if key is None:
            return _answer_now(work())
        _check_key(key)
        return _once(key, view.caller, request, _request_hash(request, request.body), nullcontext, lambda _: work())

    return keyed(wrapper)


def keyed(action: A) -> A:
    """Say in the OpenAPI document that an action honours Idempotency-Key: one that calls `once_with`."""
    action.is_idempotent = True  # type: ignore[attr-defined]  # for the OpenAPI document
    return action


def once_with(
    caller: Caller,
    request: Request,
    *,
    content: bytes,
    preparing: Callable[[], AbstractContextManager[T]],
    work: Callable[[T], HttpResponse],
) -> HttpResponse:
    """As the decorator does, for a view that has read the body itself and has to do more than a transaction can hold.

    `content` stands for the body, to tell the same request from another. What `preparing` gives is there before the
    transaction of `work` begins and until it has ended; neither is called where the answer is known already.
    """
    key = request.META.get("HTTP_IDEMPOTENCY_KEY")
    if key is None:
        with preparing() as prepared:
            return work(prepared)
    _check_key(key)
    return _once(key, caller, request, _request_hash(request, content), preparing, work)


def _answer_now(result: HttpResponse | Later) -> HttpResponse:
    return result.then() if isinstance(result, Later) else result


def _once(
    key: str,
    caller: Caller,
    request: Request,
    request_hash: str,
    preparing: Callable[[], AbstractContextManager[T]],
    work: Callable[[T], HttpResponse | Later],
) -> HttpResponse:
    store, scope, now = _store(), _scope(caller), clock.now()
    claim = store.claim(scope=scope, key=key, request_hash=request_hash, now=now)
    if isinstance(claim, Replay):
        headers = {**claim.headers, "Idempotent-Replayed": "true"}
        return HttpResponse(claim.body, status=claim.status, headers=headers)
    if isinstance(claim, Mismatch):
        raise IdempotencyKeyReused(detail="This Idempotency-Key was used with another request.")
    if isinstance(claim, Running):
        wait = max(1, round((claim.locked_until - now).total_seconds()))
        raise Conflict(
            detail="The first call with this Idempotency-Key is still running.", headers={"Retry-After": str(wait)}
        )
    return _first(_Call(store=store, scope=scope, key=key, locked_until=claim.locked_until), request, preparing, work)


def _first(
    call: _Call,
    request: Request,
    preparing: Callable[[], AbstractContextManager[T]],
    work: Callable[[T], HttpResponse | Later],
) -> HttpResponse:
    """Do the work and keep its answer in one transaction; a refusal is kept too, a failure of ours is not."""
    try:
        with preparing() as prepared, transaction.atomic():
            result = work(prepared)
            call.keep(result.stored if isinstance(result, Later) else result)
    except LockLost:
        raise
    except Exception as error:
        known = problems.translate(error)
        if known.status >= 500 or known.retryable:
            call.release()
            raise
        result = problems.respond(known, request)
        call.keep(result)
    if isinstance(result, Later):
        response = result.then()
        call.keep(response)
        return response
    return result


def _check_key(key: str) -> None:
    if not (1 <= len(key) <= MAX_KEY_LENGTH and key.isascii() and key.isprintable()):
        raise MalformedRequest(detail=f"Idempotency-Key must be 1 to {MAX_KEY_LENGTH} printable ASCII characters.")


def _scope(caller: Caller) -> str:
    """A key's project, which its keys share; a person's own: their projects may change between the two calls."""
    project_id = caller.sole_project_id
    return f"project:{project_id}" if caller.kind == "key" and project_id else caller.actor


def _request_hash(request: Request, content: bytes) -> str:
    digest = hashlib.blake2b(digest_size=32)
    for part in (request.method or "", request.get_full_path()):
        digest.update(part.encode() + b"\x00")
    digest.update(content)
    return digest.hexdigest()


@functools.cache
def _store() -> IdempotencyStore:
    store: IdempotencyStore = import_string(settings.IDEMPOTENCY_STORE)()
    return store
