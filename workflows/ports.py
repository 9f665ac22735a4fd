"""What workflows need to know of their runs. Runs stand a layer above: the provider is named in settings."""

import uuid
from collections.abc import Collection, Mapping
from functools import cache
from typing import Protocol, cast

from django.conf import settings
from django.utils.module_loading import import_string

from flowforge.api.caller import Caller


class RunsPort(Protocol):
    """Provided by `settings.WORKFLOW_RUNS_PORT`; stateless, safe to call from several threads."""

    def last_runs(self, workflow_ids: Collection[uuid.UUID], /) -> Mapping[uuid.UUID, tuple[uuid.UUID, str]]:
        """Workflow -> (id, status) of its newest run, in one query; a workflow that never ran is absent."""
        ...

    def live_count(self, workflow_id: uuid.UUID, /) -> int:
        """How many of its runs have not ended. Called within the transaction that archives the workflow."""
        ...

    def cancel_live(self, workflow_id: uuid.UUID, actor: str, /) -> int:
        """Ask all its live runs to end; answers how many. `actor` as in `Caller.actor`."""
        ...

    def version_of(self, run_id: uuid.UUID, /) -> tuple[uuid.UUID, uuid.UUID] | None:
        """(workflow id, version id) of a run: its picture is that of the version that it runs."""
        ...

    def step_states(self, run_id: uuid.UUID, caller: Caller, /) -> Mapping[str, str] | None:
        """Node id -> step status; None where the caller cannot see the run. A step not begun is absent."""
        ...


class NullRuns:
    """No runs at all: what holds where no provider is installed."""

    def last_runs(self, _workflow_ids: Collection[uuid.UUID], /) -> Mapping[uuid.UUID, tuple[uuid.UUID, str]]:
        return {}

    def live_count(self, _workflow_id: uuid.UUID, /) -> int:
        return 0

    def cancel_live(self, _workflow_id: uuid.UUID, _actor: str, /) -> int:
        return 0

    def version_of(self, _run_id: uuid.UUID, /) -> tuple[uuid.UUID, uuid.UUID] | None:
        return None

    def step_states(self, _run_id: uuid.UUID, _caller: Caller, /) -> Mapping[str, str] | None:
        return None


@cache
def runs_port() -> RunsPort:
    """The provider, loaded once."""
    path: str = settings.WORKFLOW_RUNS_PORT
    return cast(RunsPort, import_string(path)()) if path else NullRuns()
