"""Taking a call. When these functions return, what came of it is stored: accepted means durable.

A call that is let in, its id, its raw body and the run that it starts are one transaction. Each id that a sender has
signed is taken once, however many copies come at once: the unique constraint decides, and who comes second is told
what the first was. A call that is refused leaves a row as well, but takes no id: once it is mended it may come again.
"""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

import redis
from django.db import DatabaseError, IntegrityError, transaction

from flowforge.api import rates
from flowforge.core import clock, json
from flowforge.core.errors import Conflict, FlowForgeError, IdempotencyKeyReused, InvalidBody, Unavailable
from flowforge.core.json import Json
from flowforge.core.recent import Recent
from flowforge.kernel.trigger_rules import Unwanted, Wanted
from flowforge.operating.selectors import require_engine
from runs.services import Started, Trigger, start_run
from webhooks import constants, rules
from webhooks.incoming import Incoming
from webhooks.models import Call, Webhook
from webhooks.selectors import call_that_took

_MAX_DETAIL_LENGTH: Final = 1_000

log = logging.getLogger("flowforge.webhooks")

_seen: Recent[None] = Recent(ttl_seconds=1.0)  # webhooks whose `last_received_at` is of this second


@dataclass(frozen=True, kw_only=True, slots=True)
class Identity:
    """What makes a call the same as another."""

    id: str
    window: timedelta | None = None  # None: for as long as calls are kept
    same_body: bool = False  # another body under the same id is a mistake


@dataclass(frozen=True, kw_only=True, slots=True)
class Proof:
    """How a call has shown that it may."""

    verified_by: str  # `hmac`, `key:<id>`
    identity: Identity | None = None  # None: nothing tells two calls apart


@dataclass(frozen=True, kw_only=True, slots=True)
class Receipt:
    """What became of a call."""

    call: Call
    repeated: bool = False  # the run was there already: of the same id, or by the webhook's `dedupe`
    challenge: str | None = None  # what a sender that tries the address wants to hear again


def receive_call(*, webhook: Webhook, incoming: Incoming, proof: Proof) -> Receipt:
    """Let in a call of a webhook (loaded with workflow and project) and start what it asks for.

    Raises FlowForgeError for one that starts nothing, after it was noted: a body that cannot be read (400, 415),
    expressions or inputs that don't fit (422), a workflow that takes no runs (409).
    """
    now = clock.now()
    _seen.get(webhook.pk, lambda: _note_use(webhook, now))
    earlier = _earlier(webhook, incoming, proof, now)
    if earlier is not None:
        return _repeat(webhook, incoming, proof, earlier)
    _require_engine(webhook, incoming)
    try:
        return _take(_draft(webhook, incoming, proof, now), webhook, incoming)
    except IntegrityError:
        earlier = _earlier(webhook, incoming, proof, now)
        if earlier is None:
            raise
        return _repeat(webhook, incoming, proof, earlier)


def _require_engine(webhook: Webhook, incoming: Incoming) -> None:
    """During maintenance nothing starts (503). Not every sender tries again: what it sent is kept, to be replayed."""
    try:
        require_engine()
    except Unavailable as error:
        note_rejection(webhook=webhook, incoming=incoming, error=error, keep_body=True)
        raise


def replay_call(*, call: Call, version: int | None = None, actor: str) -> Receipt:
    """Take a stored call again, by the webhook's present rules, as a run of `version` (None: the current one).

    Raises what `receive_call` does, and Conflict for a call of which no body is kept.
    """
    webhook = call.webhook
    if call.body is None:
        raise Conflict(detail="Nothing is kept of this call that could be taken again.")
    incoming = Incoming(headers=call.headers, query=call.query, content_type=call.content_type, body=bytes(call.body))
    draft = _draft(webhook, incoming, Proof(verified_by=actor[:80]), clock.now())
    draft.body, draft.replay_of = None, call.replay_of or call.pk
    return _take(draft, webhook, incoming, version=version, dedupe=False)


def note_rejection(*, webhook: Webhook, incoming: Incoming, error: FlowForgeError, keep_body: bool = False) -> None:
    """Leave a row of a call that was refused, of at most so many a minute: a flood of them fills no table.

    Its body is kept only where it could be taken again, which takes somebody who is known to have sent it.
    """
    now = clock.now()
    if not _may_be_noted(webhook, now):
        return
    call = _draft(webhook, incoming, Proof(verified_by=""), now)
    if not keep_body:
        call.body = None
    call.decision, call.reason = constants.REJECTED, str(getattr(error, "reason", error.code))[:100]
    call.detail = _explained(error)
    call.save(force_insert=True)


def _may_be_noted(webhook: Webhook, now: datetime) -> bool:
    rate = rates.parse(constants.REJECTIONS_NOTED)
    try:
        count, _ = rates.store().hit(f"webhook-rejections:{webhook.pk}", rate.seconds, now.timestamp())
    except (redis.RedisError, DatabaseError) as error:
        log.warning("rejected calls can't be counted: %s", error)
        return False
    return count <= rate.limit


def _draft(webhook: Webhook, incoming: Incoming, proof: Proof, now: datetime) -> Call:
    identity = proof.identity
    return Call(
        webhook=webhook,
        created_at=now,
        verified_by=proof.verified_by,
        signed_id=None if identity is None else identity.id,
        signed_until=None if identity is None or identity.window is None else now + identity.window,
        headers=dict(incoming.headers),
        query=dict(incoming.query),
        content_type=incoming.content_type[:200],
        body=incoming.body,
        body_hash=incoming.body_hash,
        size=len(incoming.body),
    )


def _take(
    call: Call, webhook: Webhook, incoming: Incoming, *, version: int | None = None, dedupe: bool = True
) -> Receipt:
    """Decide on a call and store it with what it starts, or note why it starts nothing. Raises IntegrityError."""
    try:
        scope = incoming.scope(webhook.signature_scheme)
        call.event = scope["event"]
        challenge = _challenge(webhook, scope["payload"])
        wanted = rules.apply(webhook, scope) if challenge is None else Unwanted(reason="challenge")
        if isinstance(wanted, Unwanted):
            call.decision, call.reason, call.detail = constants.SKIPPED, wanted.reason, wanted.detail
            call.save(force_insert=True)
            return Receipt(call=call, challenge=challenge)
        with transaction.atomic():
            started = _start(webhook, wanted, dedupe_key=wanted.dedupe_key if dedupe else None, version=version)
            call.run_id = started.run.id
            call.decision = constants.FIRED if started.created else constants.COALESCED
            call.reason = "" if started.created else "same_key"
            call.save(force_insert=True)
            return Receipt(call=call, repeated=not started.created)
    except FlowForgeError as error:
        if error.status < 500 and not error.retryable:
            _refuse(call, webhook, incoming, error)
        raise


def _challenge(webhook: Webhook, payload: Json) -> str | None:
    """Slack asks an address that it is to call for the text that it sends (`url_verification`)."""
    if webhook.signature_scheme != constants.SLACK or not isinstance(payload, Mapping):
        return None
    challenge = payload.get("challenge")
    return challenge if payload.get("type") == "url_verification" and isinstance(challenge, str) else None


def _start(webhook: Webhook, wanted: Wanted, *, dedupe_key: str | None, version: int | None) -> Started:
    return start_run(
        workflow=webhook.workflow,
        inputs=wanted.inputs,
        caller_actor=f"webhook:{webhook.pk}",
        trigger=Trigger(type="webhook", id=str(webhook.pk)),
        dedupe_key=dedupe_key,
        version=version,
    )


def _refuse(call: Call, webhook: Webhook, incoming: Incoming, error: FlowForgeError) -> None:
    """Of a replay nothing is noted: whoever asked for it is told."""
    if call.replay_of is None:
        readable = isinstance(error, InvalidBody) or error.status == 409
        note_rejection(webhook=webhook, incoming=incoming, error=error, keep_body=readable)


def _earlier(webhook: Webhook, incoming: Incoming, proof: Proof, now: datetime) -> Call | None:
    """The call whose id this one repeats; an id whose time is up is taken from its row.

    Raises IdempotencyKeyReused (422) where the same key came with another body.
    """
    if proof.identity is None:
        return None
    earlier = call_that_took(webhook, proof.identity.id)
    if earlier is None:
        return None
    if earlier.signed_until is not None and earlier.signed_until <= now:
        Call.objects.filter(pk=earlier.pk, signed_until__lte=now).update(signed_id=None)
        return None
    if proof.identity.same_body and earlier.body_hash != incoming.body_hash:
        raise IdempotencyKeyReused(detail="This Idempotency-Key came with another body.")
    return earlier


def _repeat(webhook: Webhook, incoming: Incoming, proof: Proof, earlier: Call) -> Receipt:
    """The same call once more: its row says so, its answer is that of the first."""
    call = _draft(webhook, incoming, Proof(verified_by=proof.verified_by), clock.now())
    call.body, call.event, call.run_id = None, earlier.event, earlier.run_id
    call.decision, call.reason = constants.COALESCED, "same_id"
    call.save(force_insert=True)
    return Receipt(call=earlier, repeated=True)


def _explained(error: FlowForgeError) -> str:
    """For people: what was wrong, each fault by its place."""
    faults = json.text([fault.as_dict() for fault in error.faults]) if error.faults else ""
    return f"{error.detail or error.title} {faults}".strip()[:_MAX_DETAIL_LENGTH]


def _note_use(webhook: Webhook, now: datetime) -> None:
    Webhook.objects.filter(pk=webhook.pk).update(last_received_at=now)
