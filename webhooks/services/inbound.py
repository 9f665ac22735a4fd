"""Making, changing and deleting webhooks, and rotating their secrets."""

from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any

from django.db import transaction

from flowforge.core import clock
from flowforge.core.errors import Fault, InvalidBody, NotFound
from flowforge.projects.models import Project
from flowforge.projects.selectors import require_active
from webhooks import constants, rules, secrets
from webhooks.models import Webhook
from webhooks.signatures import standard_key
from workflows.models import Workflow

Check = Callable[[Webhook], None]  # raises to stop (If-Match); called under the lock


def create_webhook(
    *, project: Project, workflow: Workflow, attributes: Mapping[str, Any], secret: str | None = None
) -> tuple[Webhook, str]:
    """A new webhook and its secret: the sender's own, or a fresh one. Raises InvalidBody."""
    _check(attributes, attributes.get("signature_scheme", constants.STANDARD), secret)
    row = Webhook(project=project, workflow=workflow, **attributes)
    text = secret or secrets.generate()
    row.secret_ciphertext = secrets.seal(row, text)
    row.save(force_insert=True)
    return row, text


@transaction.atomic
def update_webhook(*, webhook: Webhook, changes: Mapping[str, Any], precondition: Check | None = None) -> Webhook:
    """Change what `changes` names. Raises InvalidBody, NotFound."""
    row = _locked(webhook)
    if precondition is not None:
        precondition(row)
    _check(changes, changes.get("signature_scheme", row.signature_scheme), None)
    for name, value in changes.items():
        setattr(row, name, value)
    row.updated_at = clock.now()
    row.save(update_fields=[*changes, "updated_at"])
    return row


@transaction.atomic
def delete_webhook(*, webhook: Webhook, precondition: Check | None = None) -> None:
    """Delete a webhook with the rows of its calls; the runs that it has started stay."""
    row = _locked(webhook)
    if precondition is not None:
        precondition(row)
    row.delete()


@transaction.atomic
def rotate_secret(
    *, webhook: Webhook, secret: str | None = None, overlap: timedelta = constants.DEFAULT_OVERLAP
) -> tuple[Webhook, str]:
    """A new secret; the one before holds for `overlap` beside it. Raises InvalidBody, Conflict."""
    row = _locked(webhook)
    require_active(row.project)
    _check({}, row.signature_scheme, secret)
    text = secret or secrets.generate()
    row.old_secret_ciphertext, row.old_secret_expires_at = row.secret_ciphertext, clock.now() + overlap
    row.secret_ciphertext, row.updated_at = secrets.seal(row, text), clock.now()
    row.save(update_fields=["secret_ciphertext", "old_secret_ciphertext", "old_secret_expires_at", "updated_at"])
    return row, text


def _locked(webhook: Webhook) -> Webhook:
    found = Webhook.objects.select_for_update(of=("self",)).select_related("project").filter(pk=webhook.pk).first()
    if found is None:
        raise NotFound
    return found


def _check(given: Mapping[str, Any], scheme: str, secret: str | None) -> None:
    faults = rules.faults_of(given)
    if secret is not None and scheme == constants.STANDARD and standard_key(secret) is None:
        detail = "A secret of this scheme is whsec_ and the base64 of 24 to 64 bytes."
        faults.append(Fault(pointer="/secret", code="invalid", detail=detail))
    if faults:
        raise InvalidBody(faults=faults)
