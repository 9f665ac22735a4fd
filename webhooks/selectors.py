"""Reading webhooks, their calls, subscriptions and deliveries."""

import uuid

from django.db.models import BinaryField, F, Func, QuerySet, Value

from flowforge.core.errors import NotFound
from flowforge.projects.models import Project
from webhooks import constants
from webhooks.models import Call, Webhook


def open_webhook(webhook_id: uuid.UUID) -> Webhook:
    """A webhook that takes calls, with its workflow and project. Raises NotFound, of a disabled one too."""
    found = Webhook.objects.select_related("workflow__project").order_by()
    try:
        return found.get(pk=webhook_id, enabled=True, project__status=Project.Status.ACTIVE)
    except Webhook.DoesNotExist:
        raise NotFound from None


def call_that_took(webhook: Webhook, signed_id: str) -> Call | None:
    """The call that has this id, be its time up or not: what a repeat is told of it, the rest of its row deferred.

    Asked at every call, nearly always in vain: naming all columns would take longer than looking.
    """
    taken = Call.objects.filter(webhook=webhook, signed_id=signed_id).order_by()
    return next(iter(taken.only("run_id", "event", "signed_until", "body_hash")), None)


def calls_of(webhook: Webhook) -> QuerySet[Call]:
    """With the beginning of each body as `excerpt`, not with all of it."""
    beginning = Func(
        F("body"), Value(1), Value(constants.EXCERPT_LENGTH), function="SUBSTR", output_field=BinaryField()
    )
    return Call.objects.filter(webhook=webhook).defer("body").annotate(excerpt=beginning)
