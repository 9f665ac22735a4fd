"""Runs, their steps and their history.

Written by `runs.services` (start, intents), `runs.transitions` and the engine's commit alone.
"""

from django.db import models
from django.db.models import Q

from flowforge.core import clock
from flowforge.core.models import Row
from flowforge.kernel.states import ENDED_RUN_STATUSES, LIVE_RUN_STATUSES, RUN_STATUSES, STEP_STATUSES
from flowforge.projects.models import Project
from flowforge.projects.scoping import ScopedQuerySet
from workflows.models import Workflow, WorkflowVersion


class Run(Row):
    """One journey through one version of a workflow."""

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="runs")
    workflow = models.ForeignKey(Workflow, on_delete=models.CASCADE, related_name="runs")
    version = models.ForeignKey(WorkflowVersion, on_delete=models.PROTECT, related_name="+")
    workflow_version = models.PositiveIntegerField()  # the number of `version`, for lists

    # --- state: results, written by the engine's fenced commit
    status = models.CharField(max_length=16, default="pending")
    status_reason = models.CharField(max_length=200, null=True)  # noqa: DJ001  null is "no reason" in the contract
    attempt = models.PositiveIntegerField(default=1)  # `:retry` begins the next one
    outputs = models.JSONField(null=True)
    error = models.JSONField(null=True)
    failure_id = models.UUIDField(null=True)  # failed: the FailureGroup of its error
    started_at = models.DateTimeField(null=True)
    finished_at = models.DateTimeField(null=True)
    deadline_at = models.DateTimeField(null=True)  # started_at + config.timeout
    steps_total = models.PositiveIntegerField(default=0)
    steps_completed = models.PositiveIntegerField(default=0)
    steps_failed = models.PositiveIntegerField(default=0)
    steps_skipped = models.PositiveIntegerField(default=0)
    retries = models.PositiveIntegerField(default=0)
    llm_cost = models.FloatField(default=0)

    # --- how it came about
    inputs = models.JSONField(default=dict)
    metadata = models.JSONField(default=dict)
    trigger_type = models.CharField(max_length=32, default="api")
    trigger_id = models.CharField(max_length=64, null=True)  # noqa: DJ001  null in the contract
    parent_run = models.ForeignKey("self", null=True, on_delete=models.SET_NULL, related_name="children")
    depth = models.PositiveSmallIntegerField(default=0)  # how many runs have led to it: bounds recursion
    awaited = models.BooleanField(default=False)  # a step of its parent waits for it: it ends with that
    start_key = models.CharField(max_length=100, null=True)  # noqa: DJ001  null: nothing guards it
    replay_of = models.ForeignKey("self", null=True, on_delete=models.SET_NULL, related_name="replays")
    trace_id = models.CharField(max_length=32)
    traceparent = models.CharField(max_length=64)  # W3C: the span that started it
    created_by = models.CharField(max_length=80, default="")  # `key:<id>`, `user:<id>`, `schedule:<id>` …
    run_at = models.DateTimeField(null=True)  # not before this moment
    priority = models.IntegerField(default=0)

    # --- which run may begin, and when: engine.admission
    concurrency_key = models.CharField(max_length=200, null=True)  # noqa: DJ001  null: `config.concurrency` is not set
    key_held_since = models.DateTimeField(null=True)  # it has one of that key's places, until it ends
    rate_key = models.CharField(max_length=200, null=True)  # noqa: DJ001  null: `config.rate_limit` is not set
    debounce_key = models.CharField(max_length=200, null=True)  # noqa: DJ001  null: it is a run of its own
    queued_in = models.CharField(max_length=260, null=True)  # noqa: DJ001  the gate it waits before: runs.gates
    queued_at = models.DateTimeField(null=True)  # since when
    expires_at = models.DateTimeField(null=True)  # not begun by then: failed with `expired`

    # --- intent: what people asked for; the engine makes it state
    cancel_requested_at = models.DateTimeField(null=True)
    cancel_reason = models.CharField(max_length=200, default="")  # what asked, where it was no person
    pause_requested_at = models.DateTimeField(null=True)

    # --- the actor's bookkeeping
    event_seq = models.PositiveIntegerField(default=0)  # seq of the newest event: gapless
    pokes = models.PositiveIntegerField(default=0)  # hints that came while someone held the lease
    lease_token = models.PositiveBigIntegerField(default=0)  # fence: rises with each claim
    lease_owner = models.CharField(max_length=80, default="")
    lease_expires_at = models.DateTimeField(null=True)
    wake_at = models.DateTimeField(null=True)  # when someone has to look at it; null: only an outside event moves it
    held_at = models.DateTimeField(null=True)  # since when a freeze keeps it from what it would do
    thawed_at = models.DateTimeField(null=True)  # when a thaw has last let it go

    objects = ScopedQuerySet["Run"].as_manager()

    class Meta(Row.Meta):
        constraints = [
            models.CheckConstraint(condition=Q(status__in=RUN_STATUSES), name="run_status_known"),
            models.CheckConstraint(
                condition=Q(finished_at__isnull=True, status__in=LIVE_RUN_STATUSES)
                | Q(finished_at__isnull=False, status__in=ENDED_RUN_STATUSES),
                name="run_finished_when_ended",
            ),
            # a run that another run starts is started once, whatever dies on the way: runs.services.lineage
            models.UniqueConstraint(fields=["start_key"], name="run_start_once", condition=Q(start_key__isnull=False)),
        ]
        indexes = [
            models.Index(fields=["project", "-created_at", "-id"], name="run_listing"),
            models.Index(fields=["workflow", "-created_at", "-id"], name="run_listing_by_workflow"),
            # the sweep's only query: engine.timers
            models.Index(fields=["wake_at"], name="run_wake", condition=Q(wake_at__isnull=False)),
            # what ended lately, of a workflow or project: alerts.metrics
            models.Index(fields=["workflow", "-finished_at"], name="run_ended", condition=Q(finished_at__isnull=False)),
            models.Index(
                fields=["project", "-finished_at"], name="run_ended_in_project", condition=Q(finished_at__isnull=False)
            ),
            # live runs of a workflow or project: selectors.live_runs. By `finished_at`, which has no parameter: SQLite
            # uses a partial index only where the query's own text proves that it fits
            models.Index(fields=["workflow", "status"], name="run_live", condition=Q(finished_at__isnull=True)),
            # the queue before a gate, first things first; its `id` is its age: engine.store.admission
            models.Index(
                fields=["queued_in", "-priority", "id"], name="run_queue", condition=Q(queued_in__isnull=False)
            ),
            # who has, and who wants, a place of a concurrency key: engine.store.admission, services.conflicts
            models.Index(
                fields=["workflow", "concurrency_key", "key_held_since"],
                name="run_key",
                condition=Q(finished_at__isnull=True, concurrency_key__isnull=False),
            ),
            # who has a place of the project's `max_concurrent_runs`: engine.store.admission
            models.Index(fields=["project"], name="run_running", condition=Q(status="running")),
            # listings by a status that few runs have, however many are stored: api.filters. All begin with the status,
            # else SQLite would rather walk `run_listing`
            models.Index(
                fields=["project", "status", "-created_at", "-id"],
                name="run_failed_listing",
                condition=Q(status="failed"),
            ),
            models.Index(
                fields=["project", "status", "-created_at", "-id"],
                name="run_cancelled_listing",
                condition=Q(status="cancelled"),
            ),
            models.Index(
                fields=["project", "status", "-created_at", "-id"],
                name="run_live_listing",
                condition=Q(finished_at__isnull=True),
            ),
            # runs of a schedule that have not ended: selectors.live_runs_of
            models.Index(
                fields=["trigger_id", "created_by"],
                name="run_live_by_trigger",
                condition=Q(finished_at__isnull=True, trigger_id__isnull=False),
            ),
            # what freezes hold back, in the order in which it is let go: engine.store.holds
            models.Index(fields=["-priority", "created_at", "id"], name="run_held", condition=Q(held_at__isnull=False)),
            # the runs of a group of failures that can be retried: services.failures
            models.Index(fields=["failure_id", "id"], name="run_failure", condition=Q(failure_id__isnull=False)),
        ]

    def __str__(self) -> str:
        return f"{self.id} ({self.status})"


class StepRun(models.Model):
    """A node of a run (a `map` item has an index). The row appears when the step becomes ready or is skipped."""

    id = models.UUIDField(primary_key=True)  # core.ids.step_id(run, node, index)
    # no index of its own: `step_once` begins with the run
    run = models.ForeignKey(Run, on_delete=models.CASCADE, related_name="steps", db_index=False)
    node_id = models.CharField(max_length=100)
    index = models.IntegerField(default=-1)  # item of a `map`; -1: not an item
    items = models.JSONField(null=True)  # of a `map`: the list that it goes over
    position = models.IntegerField(default=0)  # the node's place in the definition: the last tie-breaker of the queue
    status = models.CharField(max_length=16)
    attempt = models.PositiveIntegerField(default=0)  # executions that began; a lost worker's is not counted
    max_attempts = models.PositiveIntegerField(default=1)
    priority = models.IntegerField(default=0)
    queue = models.CharField(max_length=64, default="default")
    inputs = models.JSONField(null=True)  # the rendered config, secrets masked
    output = models.JSONField(null=True)
    error = models.JSONField(null=True)
    branch = models.CharField(max_length=200, null=True)  # noqa: DJ001  null is "no branch"
    sanitized = models.BooleanField(default=False)
    worker = models.CharField(max_length=80, default="")
    # claimed from then on, or waits until then; null: waits for an event or, pending, is to be decided anew by a retry
    available_at = models.DateTimeField(null=True)
    waits_for = models.CharField(max_length=120, default="")  # waiting: `time`, `approval`, `event:<name>` …
    then = models.JSONField(null=True)  # waiting: how it ends at `available_at`: kernel.runstate.Verdict.of
    resolution = models.JSONField(null=True)  # the same, written from outside, once: the engine makes it state
    started_at = models.DateTimeField(null=True)
    finished_at = models.DateTimeField(null=True)
    deadline_at = models.DateTimeField(null=True)  # of this attempt
    lease_token = models.PositiveBigIntegerField(default=0)
    lease_expires_at = models.DateTimeField(null=True)
    lost_count = models.PositiveSmallIntegerField(default=0)  # workers lost in a row

    class Meta:
        ordering = ["run", "id"]
        constraints = [
            models.UniqueConstraint(fields=["run", "node_id", "index"], name="step_once"),
            models.CheckConstraint(condition=Q(status__in=STEP_STATUSES), name="step_status_known"),
        ]
        indexes = [
            # the claim of a worker: engine.store.claim_steps
            models.Index(
                fields=["run", "queue", "-priority", "position", "index"],
                name="step_claim",
                condition=Q(status__in=["pending", "retrying"]),
            ),
            # a run's nodes without the items of its maps: engine.store.steps.load_steps
            models.Index(fields=["run"], name="step_nodes", condition=Q(index=-1)),
            # how many nodes run, and which, however many have ended: engine.store.steps
            models.Index(fields=["run"], name="step_running", condition=Q(index=-1, status="running")),
            # the items that matter, however many have ended well: engine.store.items
            models.Index(
                fields=["run", "node_id", "status"],
                name="step_items",
                condition=~Q(index=-1) & Q(status__in=["pending", "running", "retrying", "waiting", "failed"]),
            ),
            # who waits for an event, and which approvals: runs.selectors.waiting_steps
            models.Index(fields=["waits_for", "started_at", "id"], name="step_waiting", condition=Q(status="waiting")),
        ]

    def __str__(self) -> str:
        return f"{self.node_id} ({self.status})"


class RunEvent(models.Model):
    """One transition, or one line of a step's log. (run, seq) is its key: gapless, in order, told once.

    Logs are events too (`step.log`), so that a subscriber sees them in their place; `step_log` finds a step's own.
    """

    pk = models.CompositePrimaryKey("run_id", "seq")
    run = models.ForeignKey(Run, on_delete=models.CASCADE, related_name="events")
    seq = models.PositiveIntegerField()
    at = models.DateTimeField(default=clock.now)
    event = models.CharField(max_length=32)
    step_id = models.UUIDField(null=True)
    data = models.JSONField(default=dict)

    class Meta:
        ordering = ["run", "seq"]
        indexes = [
            models.Index(fields=["step_id", "seq"], name="event_step_log", condition=Q(event="step.log")),
        ]

    def __str__(self) -> str:
        return f"{self.seq} {self.event}"


class RatePace(models.Model):
    """How far the runs of a workflow with one `rate_limit` key have used up their pace: engine.store.admission."""

    id = models.BigAutoField(primary_key=True)
    workflow = models.ForeignKey(Workflow, on_delete=models.CASCADE, related_name="+", db_index=False)
    key = models.CharField(max_length=200)
    arrives_at = models.DateTimeField()  # the theoretical arrival time of the generic cell rate algorithm

    class Meta:
        ordering = ["-id"]
        constraints = [models.UniqueConstraint(fields=["workflow", "key"], name="pace_once")]
        indexes = [models.Index(fields=["arrives_at"], name="pace_expiry")]  # the cleaning's query

    def __str__(self) -> str:
        return self.key


class DedupeKey(models.Model):
    """Who gave this `dedupe_key` first within 24 hours: the run that everyone after gets."""

    id = models.BigAutoField(primary_key=True)
    workflow = models.ForeignKey(Workflow, on_delete=models.CASCADE, related_name="+")
    key = models.CharField(max_length=255)
    run_id = models.UUIDField()
    expires_at = models.DateTimeField()

    class Meta:
        ordering = ["-id"]
        constraints = [models.UniqueConstraint(fields=["workflow", "key"], name="dedupe_once")]
        indexes = [models.Index(fields=["expires_at"], name="dedupe_expiry")]  # the cleaning's query

    def __str__(self) -> str:
        return self.key


class DebounceKey(models.Model):
    """Which run of a workflow those join who start one with the same `debounce` key: services.debounce."""

    id = models.BigAutoField(primary_key=True)
    workflow = models.ForeignKey(Workflow, on_delete=models.CASCADE, related_name="+", db_index=False)
    key = models.CharField(max_length=200)
    run_id = models.UUIDField()
    expires_at = models.DateTimeField()

    class Meta:
        ordering = ["-id"]
        constraints = [models.UniqueConstraint(fields=["workflow", "key"], name="debounce_once")]
        indexes = [models.Index(fields=["expires_at"], name="debounce_expiry")]  # the cleaning's query

    def __str__(self) -> str:
        return self.key


class CachedOutput(models.Model):
    """What a step with `cache` gave: runs.services.cache says whose, and for whom it is good."""

    id = models.BigAutoField(primary_key=True)
    workflow = models.ForeignKey(Workflow, on_delete=models.CASCADE, related_name="+", db_index=False)
    digest = models.CharField(max_length=64)  # SHA-256 of the step's type, its config as written, its rendered key
    output = models.JSONField(null=True)
    branch = models.CharField(max_length=200, null=True)  # noqa: DJ001  null is "no branch"
    expires_at = models.DateTimeField()

    class Meta:
        ordering = ["-id"]
        constraints = [models.UniqueConstraint(fields=["workflow", "digest"], name="cached_once")]
        indexes = [models.Index(fields=["expires_at"], name="cached_expiry")]  # the cleaning's query

    def __str__(self) -> str:
        return self.digest


class FailureGroup(models.Model):
    """Failures of runs that are alike. Counted by the very commit that ends a run as failed: engine.store.failures.

    Reading the groups costs as much as there are groups, however many runs are stored.
    """

    class Status(models.TextChoices):
        OPEN = "open"
        RESOLVED = "resolved"  # by a person; the next failure opens it again

    id = models.UUIDField(primary_key=True)  # kernel.fingerprints: of workflow, node, code and message alone
    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="+", db_index=False)
    workflow = models.ForeignKey(Workflow, on_delete=models.CASCADE, related_name="+")
    node_id = models.CharField(max_length=100, default="")  # "" where no step is to blame
    code = models.CharField(max_length=100)
    message = models.CharField(max_length=500)  # without numbers, ids, quoted texts and paths
    status = models.CharField(max_length=16, choices=Status, default=Status.OPEN)
    count = models.PositiveIntegerField(default=0)  # failures, of which a run that is retried may have several
    first_seen_at = models.DateTimeField()
    last_seen_at = models.DateTimeField()
    resolved_at = models.DateTimeField(null=True)
    sample_run_id = models.UUIDField()  # the newest; a run that is deleted leaves its failures counted

    objects = ScopedQuerySet["FailureGroup"].as_manager()

    class Meta:
        ordering = ["-last_seen_at", "-id"]
        constraints = [
            models.CheckConstraint(condition=Q(status__in=["open", "resolved"]), name="failure_status_known"),
        ]
        indexes = [models.Index(fields=["project", "-last_seen_at", "-id"], name="failure_listing")]

    def __str__(self) -> str:
        return f"{self.code}: {self.message}"
