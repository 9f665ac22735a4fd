"""Webhooks: what comes in, and what goes out."""

from typing import Any

from django.db import models
from django.db.models import Q

from flowforge.core.models import EditableRow, Row
from flowforge.projects.models import Project
from flowforge.projects.scoping import ScopedQuerySet
from webhooks import constants
from workflows.models import Workflow


class Secretive(EditableRow):
    """A row with a signing secret: `webhooks.secrets` seals and opens it. The one before goes on for a while."""

    secret_ciphertext = models.BinaryField(null=True)
    old_secret_ciphertext = models.BinaryField(null=True)
    old_secret_expires_at = models.DateTimeField(null=True)

    class Meta(EditableRow.Meta):
        abstract = True


class Webhook(Secretive):
    """An address at which another system's events start runs."""

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="webhooks", db_index=False)
    workflow = models.ForeignKey(Workflow, on_delete=models.CASCADE, related_name="webhooks")
    name = models.CharField(max_length=constants.MAX_NAME_LENGTH)
    auth = models.CharField(max_length=16, default=constants.BOTH)
    signature_scheme = models.CharField(max_length=16, default=constants.STANDARD)
    signature_header = models.CharField(max_length=100, default=constants.DEFAULT_SIGNATURE_HEADER)  # of `generic`
    event_filter = models.TextField(null=True)  # noqa: DJ001  null in the contract
    input_mapping = models.JSONField(null=True)
    dedupe = models.TextField(null=True)  # noqa: DJ001  null in the contract
    response = models.CharField(max_length=16, default=constants.ACCEPTED)
    enabled = models.BooleanField(default=True)
    last_received_at = models.DateTimeField(null=True)  # the newest call that was let in, to the second

    objects = ScopedQuerySet["Webhook"].as_manager()

    class Meta(EditableRow.Meta):
        constraints = [
            models.CheckConstraint(condition=Q(auth__in=constants.AUTHS), name="webhook_auth_known"),
            models.CheckConstraint(condition=Q(signature_scheme__in=constants.SCHEMES), name="webhook_scheme_known"),
            models.CheckConstraint(condition=Q(response__in=constants.RESPONSES), name="webhook_response_known"),
        ]
        indexes = [models.Index(fields=["project", "-created_at", "-id"], name="webhook_listing")]

    def __str__(self) -> str:
        return self.name


class CallQuerySet(ScopedQuerySet["Call"]):
    project_path = "webhook__project_id"


class Call(Row):
    """One call of a webhook, and what was decided upon it: the contract's inbound delivery."""

    webhook = models.ForeignKey(Webhook, on_delete=models.CASCADE, related_name="calls", db_index=False)
    decision = models.CharField(max_length=16)
    reason = models.CharField(max_length=100, default="")  # a stable code; "" where there is nothing to explain
    detail = models.TextField(default="")  # the same for people
    run_id = models.UUIDField(null=True)  # by its id alone: runs may be cleaned away before this
    replay_of = models.UUIDField(null=True)  # the call whose body was taken again
    verified_by = models.CharField(max_length=80, default="")  # `hmac`, `key:<id>`; "": by nothing
    event = models.CharField(max_length=constants.MAX_EVENT_LENGTH, null=True)  # noqa: DJ001  null is "none told"

    # --- each id that a sender gives is taken once; null: a call that has taken none
    signed_id = models.CharField(max_length=300, null=True)  # noqa: DJ001  any number of nulls
    signed_until = models.DateTimeField(null=True)  # null: for as long as this row is kept

    # --- what came, without secrets
    headers = models.JSONField(default=dict)
    query = models.JSONField(default=dict)
    content_type = models.CharField(max_length=200, default="")
    body = models.BinaryField(null=True)  # raw; null where nothing may come of it any more
    body_hash = models.CharField(max_length=64, default="")  # SHA-256
    size = models.PositiveIntegerField(default=0)

    objects = CallQuerySet.as_manager()

    class Meta(Row.Meta):
        constraints = [
            models.UniqueConstraint(
                fields=["webhook", "signed_id"], name="call_once", condition=Q(signed_id__isnull=False)
            ),
            models.CheckConstraint(condition=Q(decision__in=constants.DECISIONS), name="call_decision_known"),
        ]
        indexes = [
            models.Index(fields=["webhook", "-created_at", "-id"], name="call_listing"),
            models.Index(fields=["created_at"], name="call_expiry"),  # the cleaning's queries
            models.Index(fields=["created_at"], name="call_rejected_expiry", condition=Q(decision="rejected")),
        ]

    def __str__(self) -> str:
        return f"{self.decision} {self.reason}".strip()


class Subscription(Secretive):
    """A server elsewhere that is told of this project's events."""

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="subscriptions", db_index=False)
    workflow = models.ForeignKey(Workflow, null=True, on_delete=models.CASCADE, related_name="subscriptions")
    url = models.CharField(max_length=constants.MAX_URL_LENGTH)
    events: "models.JSONField[Any, Any]" = models.JSONField(default=list)  # names and patterns
    description = models.TextField(default="")
    enabled = models.BooleanField(default=True)
    disabled_reason = models.CharField(max_length=200, null=True)  # noqa: DJ001  null in the contract
    failure_count = models.PositiveIntegerField(default=0)  # attempts that failed since the last one that did not
    failing_since = models.DateTimeField(null=True)

    objects = ScopedQuerySet["Subscription"].as_manager()

    class Meta(EditableRow.Meta):
        indexes = [models.Index(fields=["project", "-created_at", "-id"], name="subscription_listing")]

    def __str__(self) -> str:
        return self.url


class DeliveryQuerySet(ScopedQuerySet["Delivery"]):
    project_path = "subscription__project_id"


class Delivery(Row):
    """One event on its way to one subscription. Written within the transaction of what it tells of.

    Its id is the `webhook-id` of every attempt, its body the same bytes each time.
    """

    # without a constraint: an engine's commit does not fail because somebody deletes a subscription meanwhile
    subscription = models.ForeignKey(
        Subscription, on_delete=models.CASCADE, related_name="deliveries", db_index=False, db_constraint=False
    )
    event = models.CharField(max_length=100)
    body = models.TextField()  # JSON as it is signed and sent
    status = models.CharField(max_length=16, default=constants.PENDING)
    attempt = models.PositiveSmallIntegerField(default=0)  # of the schedule; a redelivery begins anew
    next_attempt_at = models.DateTimeField(null=True)  # of one that is being made: when others may try
    lease_token = models.PositiveIntegerField(default=0)  # fence: rises with each claim
    delivered_at = models.DateTimeField(null=True)
    attempts: "models.JSONField[Any, Any]" = models.JSONField(default=list)  # newest last: webhooks.attempts.record

    objects = DeliveryQuerySet.as_manager()

    class Meta(Row.Meta):
        constraints = [
            models.CheckConstraint(condition=Q(status__in=constants.STATUSES), name="delivery_status_known"),
            models.CheckConstraint(
                condition=Q(status="pending", next_attempt_at__isnull=False)
                | (~Q(status="pending") & Q(next_attempt_at__isnull=True)),
                name="delivery_due_while_pending",
            ),
        ]
        indexes = [
            models.Index(fields=["subscription", "-created_at", "-id"], name="delivery_listing"),
            # the claim, and whether a subscription has anything due: webhooks.services.claiming
            models.Index(
                fields=["subscription", "next_attempt_at"], name="delivery_due", condition=Q(status="pending")
            ),
            models.Index(fields=["next_attempt_at"], name="delivery_any_due", condition=Q(status="pending")),
            models.Index(fields=["created_at"], name="delivery_expiry"),  # the cleaning's query
        ]

    def __str__(self) -> str:
        return f"{self.event} ({self.status})"
