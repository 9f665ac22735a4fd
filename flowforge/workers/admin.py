"""Worker processes for people with the admin, to look at."""

from django.contrib import admin
from django.utils.safestring import SafeString

from flowforge.core import clock
from flowforge.staff import shown
from flowforge.staff.pages import ReadOnlyAdmin
from flowforge.workers.models import Worker
from flowforge.workers.selectors import standing


@admin.register(Worker)
class WorkerAdmin(ReadOnlyAdmin):
    """Each process writes its own row."""

    list_display = ("name", "shown_standing", "shown_queues", "steps_count", "running_count", "oldest", "heartbeat_at")
    search_fields = ("name",)
    search_help_text = "Part of a worker's name: host:pid:random"
    ordering = ("-heartbeat_at", "name")
    sortable_by = ()
    list_per_page = 50
    fields = (
        *("name", "host", "pid", "version", "isolation", "shown_standing"),
        *("started_at", "heartbeat_at", "swept_at", "draining_at", "stopped_at"),
        *("hints_count", "steps_count", "running_count", "abandoned_count", "oldest_step_at", "shown_pools"),
    )

    @admin.display(description="status")
    def shown_standing(self, worker: Worker) -> SafeString:
        """Without a look at what is ready: `stuck` is for a pool that does not listen. The health page knows more."""
        return shown.label(standing(worker, clock.now(), {}))

    @admin.display(description="queues")
    def shown_queues(self, worker: Worker) -> str:
        return ", ".join(f"{queue} ({worker.pools[queue]['slots']})" for queue in worker.queues)

    @admin.display(description="pools")
    def shown_pools(self, worker: Worker) -> SafeString:
        return shown.code_block(shown.document(worker.pools))

    @admin.display(description="oldest step")
    def oldest(self, worker: Worker) -> str:
        """For how long the step has run that runs longest, as of its last heartbeat."""
        since = worker.oldest_step_at
        return shown.lasted(None if since is None else (worker.heartbeat_at - since).total_seconds())
