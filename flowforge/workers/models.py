"""The worker processes: one row each, written by the process itself through `flowforge.workers.services`."""

from django.db import models
from django.db.models import Q


class Worker(models.Model):
    """A process that drives runs and does steps. Its heartbeat tells what it has done, not only that it breathes."""

    name = models.CharField(primary_key=True, max_length=80)  # `host:pid:random`; what it claims bears the same name
    host = models.CharField(max_length=255)
    pid = models.PositiveIntegerField()
    version = models.CharField(max_length=40)
    isolation = models.CharField(max_length=16)  # how it isolates what steps start
    pools = models.JSONField(default=dict)  # queue -> services.PoolProgress

    # --- its life
    started_at = models.DateTimeField()
    heartbeat_at = models.DateTimeField()
    draining_at = models.DateTimeField(null=True)  # from then on it claims nothing
    stopped_at = models.DateTimeField(null=True)

    # --- its progress
    hints_count = models.PositiveBigIntegerField(default=0)  # hints that it has taken
    steps_count = models.PositiveBigIntegerField(default=0)  # attempts that have ended here
    running_count = models.PositiveIntegerField(default=0)  # steps that run now
    abandoned_count = models.PositiveIntegerField(default=0)  # threads in steps that did not hear that they had to stop
    oldest_step_at = models.DateTimeField(null=True)  # when the one of these that runs longest began
    swept_at = models.DateTimeField(null=True)  # its last look for runs whose moment has come

    class Meta:
        ordering = ["-started_at", "name"]
        constraints = [
            models.CheckConstraint(condition=Q(heartbeat_at__gte=models.F("started_at")), name="worker_beats_in_order"),
        ]
        indexes = [models.Index(fields=["heartbeat_at"], name="worker_heartbeat")]  # who lives; whose row can go

    def __str__(self) -> str:
        return self.name

    @property
    def queues(self) -> list[str]:
        return sorted(self.pools)
