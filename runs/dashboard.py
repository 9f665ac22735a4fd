"""What the admin's first page shows of runs, to those who may see them. Named in settings.UNFOLD."""

from collections import Counter
from typing import Any, Final

from django.http import HttpRequest

from flowforge.kernel.states import LIVE_RUN_STATUSES
from runs.models import Run

NEWEST: Final = 10
MAX_COUNTED: Final = 1000  # live runs: beyond it the number is "1000+"


def add_to_index(request: HttpRequest, context: dict[str, Any]) -> dict[str, Any]:
    """The context of the first page with the newest runs and how many are under way, by bounded queries."""
    if not request.user.has_perm("runs.view_run"):
        return context
    live = list(Run.objects.filter(finished_at=None).order_by().values_list("status", flat=True)[: MAX_COUNTED + 1])
    counts = Counter(live)
    newest = Run.objects.prefetch_related("workflow", "project").order_by("-id")
    return {
        **context,
        "title": "Overview",
        "runs_by_status": [(status, counts[status]) for status in LIVE_RUN_STATUSES],
        "counted_all": len(live) <= MAX_COUNTED,
        "newest_runs": newest.defer("inputs", "outputs", "metadata", "error")[:NEWEST],
    }
