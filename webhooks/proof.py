"""Who may call a webhook: who holds its secret, or an API key of its project. Never a person's login."""

import hashlib
from collections.abc import Mapping
from datetime import datetime
from typing import Final

from flowforge.core.errors import FlowForgeError, InvalidCredentials, NotAuthenticated
from flowforge.core.json import Json
from flowforge.projects import callers
from flowforge.projects.constants import KEY_PREFIX
from webhooks import constants, secrets, signatures
from webhooks.incoming import Incoming
from webhooks.models import Webhook
from webhooks.services.receiving import Identity, Proof
from webhooks.signatures import Signed

_SCOPE: Final = "runs:write"
_MAX_ID_LENGTH: Final = 250
_ID_IN_PAYLOAD: Final = {constants.STRIPE: "id", constants.SLACK: "event_id"}
_BEARER: Final = "bearer "


def prove(webhook: Webhook, headers: Mapping[str, str], incoming: Incoming, now: datetime) -> Proof:
    """How a call shows that it may. `headers` are as they came, names in lower case.

    Raises NotAuthenticated or InvalidCredentials (401), PermissionMissing (403) for a key without `runs:write`. What
    is sent has to be right: a wrong signature is not mended by a good key, nor the other way round.
    """
    signed = Signed(headers=headers, body=incoming.body, header=webhook.signature_header)
    key = None if webhook.auth == constants.HMAC else _key_in(headers)
    proof = None if key is None else _by_key(webhook, key, headers)
    is_signed = webhook.auth != constants.API_KEY and signatures.is_present(webhook.signature_scheme, signed)
    if is_signed or webhook.auth == constants.HMAC:
        return _by_signature(webhook, signed, incoming, now)
    if proof is None:
        raise NotAuthenticated(detail="Send an API key of the project as X-API-KEY, or the signature if it takes one.")
    return proof


def _by_signature(webhook: Webhook, signed: Signed, incoming: Incoming, now: datetime) -> Proof:
    signatures.verify(webhook.signature_scheme, signed, secrets.of(webhook, now), now)
    return Proof(verified_by="hmac", identity=_identity(webhook.signature_scheme, signed, incoming))


def _by_key(webhook: Webhook, key: str, headers: Mapping[str, str]) -> Proof:
    caller = callers.from_key(key)
    if webhook.project_id not in caller.grants:
        raise InvalidCredentials(detail="The API key is of another project.")
    caller.require(_SCOPE, webhook.project_id)
    asked = headers.get("idempotency-key")
    identity = None
    if asked:
        name = f"key:{caller.id}:{_bounded(asked)}"
        identity = Identity(id=name, window=constants.IDEMPOTENCY_WINDOW, same_body=True)
    return Proof(verified_by=caller.actor, identity=identity)


def _key_in(headers: Mapping[str, str]) -> str | None:
    """`X-API-KEY: ffk_…` or `Authorization: Bearer ffk_…`; an access token is no key, and as good as nothing."""
    key = headers.get("x-api-key")
    if key is not None:
        return key.strip()
    authorization = headers.get("authorization", "").strip()
    token = authorization[len(_BEARER) :].strip() if authorization.lower().startswith(_BEARER) else ""
    return token if token.startswith(KEY_PREFIX) else None


def _identity(scheme: str, signed: Signed, incoming: Incoming) -> Identity:
    """What the sender calls this delivery, in what it has signed where there is such a thing."""
    headers = signed.headers
    if scheme == constants.STANDARD:
        return Identity(id=f"id:{_bounded(headers.get('svix-id') or headers['webhook-id'])}")
    if scheme == constants.GITHUB and headers.get("x-github-delivery"):
        return Identity(id=f"id:{_bounded(headers['x-github-delivery'])}")
    if scheme in _ID_IN_PAYLOAD:
        found = _member(incoming, _ID_IN_PAYLOAD[scheme])
        if isinstance(found, str) and found:
            return Identity(id=f"id:{_bounded(found)}")
    if scheme == constants.SLACK:  # a command or a button: its moment is signed with it
        return Identity(id=f"body:{headers['x-slack-request-timestamp']}:{incoming.body_hash}")
    return Identity(id=f"body:{incoming.body_hash}", window=constants.REPEATED_BODY_WINDOW)


def _member(incoming: Incoming, name: str) -> Json:
    try:
        payload = incoming.payload
    except FlowForgeError:
        return None  # it is refused later, for what it is
    return payload.get(name) if isinstance(payload, Mapping) else None


def _bounded(text: str) -> str:
    clean = text.encode("utf-8", "replace").decode().replace("\x00", "")
    return clean if len(clean) <= _MAX_ID_LENGTH else hashlib.sha256(clean.encode()).hexdigest()
