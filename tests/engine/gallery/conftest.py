"""The gallery in a project, to be played by the real engine with real processes, on a clock that tests move."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from flowforge.api.caller import Caller
from flowforge.cli.samples import place_samples
from flowforge.engine import driver, execution
from flowforge.events.models import Event
from flowforge.projects.models import Project
from flowforge.projects.services.bootstrap import DEMO_STEP_TYPES
from runs.models import Run, StepRun
from runs.selectors import read_run
from runs.services import decide_approval
from runs.services.outside import MISSING
from runs.services.publishing import publish_event
from tests.engine.conftest import Flow, fresh, step
from tests.support.bells import BellRecorder
from tests.support.clock import FrozenClock
from workflows.models import Workflow
from workflows.services.installing import install_gallery


class Gallery:
    """`gallery.play("disk-check", threshold=1)` starts one and goes on until it has ended or waits for somebody."""

    def __init__(
        self, project: Project, bell: BellRecorder, clock: FrozenClock, installed: dict[str, Workflow]
    ) -> None:
        self.installed = installed
        self._project = project
        self._bell = bell
        self._clock = clock

    def play(self, name: str, /, **inputs: Any) -> Run:
        return self.settle(Flow(self._bell, self.installed[name]).start(**inputs))

    def settle(self, run: Run) -> Run:
        """Answer hints, and let the time of each retry come."""
        flow = Flow(self._bell, run.workflow)
        flow.drain()
        while StepRun.objects.filter(run__project=self._project, status="retrying").exists():
            due = Run.objects.filter(project=self._project, wake_at__isnull=False).order_by("wake_at").first()
            assert due is not None
            self.at_its_moment(due)
            flow.drain()
        return fresh(run)

    def at_its_moment(self, run: Run) -> None:
        """Move the clock to when somebody has to look at the run, and look."""
        wake_at = fresh(run).wake_at
        assert wake_at is not None
        self._clock.moment = max(self._clock.moment, wake_at)
        driver.drive(run.pk)

    def too_late(self, run: Run) -> Run:
        """Nobody comes: what the run waits for has its timeout."""
        self.at_its_moment(run)
        return self.settle(run)

    def decide(self, run: Run, node_id: str, decision: str, **data: Any) -> Run:
        caller = Caller(kind="key", id="k", name="ada", grants={self._project.pk: frozenset({"runs:write"})})
        row = read_run(run.pk)
        assert row is not None
        decide_approval(run=row, step_id=step(run, node_id).pk, decision=decision, data=data or MISSING, caller=caller)
        return self.settle(run)

    def publish(self, run: Run, event: str, **payload: Any) -> Run:
        publish_event(project_id=self._project.pk, name=event, payload=payload, source="test", dedupe_key=None)
        return self.settle(run)

    def told(self) -> list[tuple[str, Any]]:
        """(name, payload) of every event that was published, oldest first."""
        return list(Event.objects.filter(project_id=self._project.pk).order_by("id").values_list("name", "payload"))


@pytest.fixture
def files(settings: Any, tmp_path: Path) -> Iterator[Path]:
    """The folder that steps may write to, with the samples in it."""
    settings.HOME, settings.FILE_ROOTS = tmp_path, [tmp_path / "files"]
    settings.ALLOW_PRIVATE_TARGETS = ["127.0.0.0/8"]
    execution.step_settings.cache_clear()
    place_samples(settings.FILE_ROOTS)
    yield tmp_path / "files"
    execution.step_settings.cache_clear()


@pytest.fixture
def gallery(
    project: Project, bell: BellRecorder, frozen_clock: FrozenClock, flow: Callable[..., Flow], files: Path
) -> Gallery:
    """All of the gallery, in a project that allows what the demo project does."""
    project.settings = {"allowed_step_types": list(DEMO_STEP_TYPES)}
    project.save(update_fields=["settings"])
    made = install_gallery(project_id=project.pk)
    return Gallery(project, bell, frozen_clock, {one.workflow.name: one.workflow for one in made})
