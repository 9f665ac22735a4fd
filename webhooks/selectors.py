"""Reading webhooks, their calls, subscriptions and deliveries."""

import uuid
from datetime import datetime

from django.db.models import BinaryField, F, Func, QuerySet, Value

from flowforge.core.errors import NotFound
from flowforge.projects.models import Project
from webhooks import constants
from webhooks.models import Call, Webhook


def open_webhook(webhook_id: uuid.UUID) -> Webhook:
    """A webhook that takes calls, with its workflow and project. Raises NotFound, of a disabled one too."""
    found = (
        Webhook.objects.select_related("workflow__project")
        .filter(pk=webhook_id, enabled=True, project__status=Project.Status.ACTIVE)
        .first()
    )
    if found is None:
        raise NotFound
    return found


def call_that_took(webhook: Webhook, signed_id: str, now: datetime) -> Call | None:
    """The call that has taken this id and still holds it."""
    call = Call.objects.filter(webhook=webhook, signed_id=signed_id).defer("body").first()
    if call is None or (call.signed_until is not None and call.signed_until <= now):
        return None
    return call


def calls_of(webhook: Webhook) -> QuerySet[Call]:
    """With the beginning of each body as `excerpt`, not with all of it."""
    beginning = Func(
        F("body"), Value(1), Value(constants.EXCERPT_LENGTH), function="SUBSTR", output_field=BinaryField()
    )
    return Call.objects.filter(webhook=webhook).defer("body").annotate(excerpt=beginning)
