"""What workflows ask of their runs: the provider of `workflows.ports.RunsPort`, named in settings."""

import uuid
from collections.abc import Collection, Mapping

from django.db.models import OuterRef, Subquery

from flowforge.api.caller import Caller
from runs.models import Run, StepRun
from runs.selectors import live_runs
from runs.services import cancel_live_runs
from workflows.models import Workflow


class Port:
    """Stateless; safe to call from several threads."""

    def last_runs(self, workflow_ids: Collection[uuid.UUID], /) -> Mapping[uuid.UUID, tuple[uuid.UUID, str]]:
        """Workflow -> (id, status) of its newest run, in one query: one look into `run_listing_by_workflow` each."""
        newest = Run.objects.filter(workflow_id=OuterRef("id")).order_by("-created_at", "-id").values("id")[:1]
        ids = Workflow.objects.filter(id__in=workflow_ids).order_by().values(newest=Subquery(newest))
        rows = Run.objects.filter(id__in=ids).order_by().values_list("workflow_id", "id", "status")
        return {workflow_id: (run_id, status) for workflow_id, run_id, status in rows}

    def live_count(self, workflow_id: uuid.UUID, /) -> int:
        """How many of its runs have not ended."""
        return live_runs(workflow_id).count()

    def cancel_live(self, workflow_id: uuid.UUID, _actor: str, /) -> int:
        """Ask all its live runs to end; answers how many."""
        return cancel_live_runs(workflow_id=workflow_id)

    def version_of(self, run_id: uuid.UUID, /) -> tuple[uuid.UUID, uuid.UUID] | None:
        """(workflow id, version id) of a run; None if there is none."""
        return Run.objects.filter(id=run_id).values_list("workflow_id", "version_id").first()

    def step_states(self, run_id: uuid.UUID, caller: Caller, /) -> Mapping[str, str] | None:
        """Node id -> step status; None where the caller cannot see the run. A step not begun is absent."""
        if not Run.objects.visible_to(caller, "runs:read").filter(id=run_id).exists():
            return None
        return dict(StepRun.objects.filter(run_id=run_id, index=-1).values_list("node_id", "status"))
