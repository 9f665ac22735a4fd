"""Who has stopped what: freezes of a project, of a workflow or of everything, and maintenance of the engine."""

from django.db import models
from django.db.models import Q

from flowforge.core import clock
from flowforge.operating.constants import FROZEN, SCOPES, STATUSES


class Hold(models.Model):
    """A freeze, until it has thawed; or maintenance, until it is over. One a scope.

    What it holds is named by its id alone: projects and workflows stand above. The engine asks this table whenever it
    claims a run or commits a beginning (flowforge.engine.store.holds).
    """

    scope_id = models.UUIDField(primary_key=True)  # of the project or workflow; ENGINE_ID, MAINTENANCE_ID
    scope = models.CharField(max_length=16)
    status = models.CharField(max_length=16, default=FROZEN)
    reason = models.TextField(blank=True, default="")
    by = models.CharField(max_length=200)  # a name, for people
    since = models.DateTimeField(default=clock.now)
    until = models.DateTimeField(null=True)  # frozen: when it begins to thaw by itself
    rate = models.CharField(max_length=24, default="")  # thawing: how many begin, such as `10/m`
    # thawing: what may have begun by then has been let go; thawed: when it was over
    paced_to = models.DateTimeField(null=True)

    class Meta:
        ordering = ["-since"]
        constraints = [
            models.CheckConstraint(condition=Q(scope__in=SCOPES), name="hold_scope_known"),
            models.CheckConstraint(condition=Q(status__in=STATUSES), name="hold_status_known"),
        ]

    def __str__(self) -> str:
        return f"{self.scope} {self.scope_id} ({self.status})"
