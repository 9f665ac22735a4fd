"""What a project wants of the isolation of its steps, and what becomes of steps where it is not to be had."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from flowforge.engine import execution, isolation
from flowforge.projects.models import Project
from flowforge.steps.isolation import Found
from flowforge.steps.levels import LEVELS
from tests.engine.conftest import Flow, step

pytestmark = [pytest.mark.django_db, pytest.mark.processes]
MakeFlow = Callable[..., Flow]
SCRIPT = {"id": "only", "type": "generic", "config": {"command": "echo", "args": ["hello"]}}


@pytest.fixture(autouse=True)
def _forgotten() -> Iterator[None]:
    """What a process keeps of this machine is asked anew."""
    yield
    for kept in (isolation.found_here, isolation.isolation_here, execution.step_settings):
        kept.cache_clear()


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """`machine("limits")`: one that has no stronger level."""

    def has(level: str) -> None:
        for kept in (isolation.found_here, isolation.isolation_here, execution.step_settings):
            kept.cache_clear()
        monkeypatch.setattr(isolation.isolation, "detect", lambda home, wanted: Found(level=level))  # type: ignore[arg-type]  # the test's own names

    return has


def ended(project: Project, flow: MakeFlow, **wanted: Any) -> Any:
    Project.objects.filter(pk=project.pk).update(settings={"allowed_step_types": ["generic"], **wanted})
    run = flow(nodes=[SCRIPT]).run()
    return step(run, "only")


def test_it_works(project: Project, flow: MakeFlow) -> None:
    """At the strongest level of this machine, whichever that is."""
    found = ended(project, flow)
    assert (found.status, found.output["stdout"]) == ("completed", "hello\n"), found.error
    level = isolation.found_here().level
    assert ended(project, flow, isolation=level).status == "completed"


@pytest.mark.parametrize(
    ("level", "wanted"),
    [
        ("limits", "namespaces"),
        ("limits", "bubblewrap"),
        ("namespaces", {"minimum": "bubblewrap"}),
        ("limits", {"network": False}),
    ],
)
def test_it_rejects_what_this_machine_cannot(
    project: Project, flow: MakeFlow, machine: Callable[[str], None], level: str, wanted: Any
) -> None:
    machine(level)
    found = ended(project, flow, isolation=wanted)
    assert found.status == "failed"
    assert found.error["code"] == "isolation_unavailable"
    assert found.attempt == 1


@pytest.mark.parametrize("wanted", ["limits", {"minimum": "limits", "network": True}, {}])
def test_limits_do_for_who_wants_no_more(
    project: Project, flow: MakeFlow, machine: Callable[[str], None], wanted: Any
) -> None:
    machine("limits")
    assert ended(project, flow, isolation=wanted).status == "completed"


def test_a_project_can_forbid_the_network(project: Project, flow: MakeFlow) -> None:
    if isolation.found_here().level == LEVELS[0]:
        pytest.skip("!!! NOT TESTED: this machine isolates by limits alone")
    Project.objects.filter(pk=project.pk).update(
        settings={"allowed_step_types": ["generic"], "isolation": {"network": False}}
    )
    listing = {"id": "only", "type": "generic", "config": {"command": "cat /proc/net/dev"}}
    interfaces = step(flow(nodes=[listing]).run(), "only").output["stdout"].splitlines()[2:]
    assert [line.split(":")[0].strip() for line in interfaces] == ["lo"]
