"""Several writers at once: versions have no gaps and no doubles, nobody's change is lost unseen."""

import threading
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection

from flowforge.api.caller import Caller
from flowforge.core.errors import Conflict, FlowForgeError, PreconditionFailed
from tests import factories
from tests.apps.workflows.conftest import chain
from workflows.models import Workflow, WorkflowVersion
from workflows.services import saving
from workflows.services.files import Entry
from workflows.services.forms import Written
from workflows.services.importing import import_workflows
from workflows.services.saving import Attributes, update_workflow

CALLER = Caller(kind="system", id="test", name="test", grants={})
WRITERS = 6

pytestmark = pytest.mark.django_db(transaction=True)


def at_once(work: Callable[[int], Any]) -> list[Any]:
    """What each of WRITERS threads that begin together got back, or raised."""
    barrier = threading.Barrier(WRITERS)
    results: list[Any] = [None] * WRITERS

    def body(number: int) -> None:
        barrier.wait(timeout=30)
        try:
            results[number] = work(number)
        except FlowForgeError as error:
            results[number] = error
        finally:
            connection.close()

    threads = [threading.Thread(target=body, args=(number,)) for number in range(WRITERS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    return results


def edit(workflow: Workflow, number: int, **more: Any) -> int:
    written = Written(parts={"nodes": chain(f"n{number}")["nodes"], "edges": []})
    version = update_workflow(workflow_id=workflow.pk, attributes=Attributes(), written=written, caller=CALLER, **more)
    return version.version


def test_it_works() -> None:
    workflow = factories.make_workflow(project=factories.make_project())
    results = at_once(lambda number: edit(workflow, number))
    assert sorted(results) == list(range(2, WRITERS + 2))
    versions = WorkflowVersion.objects.filter(workflow=workflow).order_by("version")
    assert [row.version for row in versions] == list(range(1, WRITERS + 2))
    assert Workflow.objects.get(pk=workflow.pk).version == WRITERS + 1
    assert {row.definition["nodes"][0]["id"] for row in versions[1:]} == {f"n{number}" for number in range(WRITERS)}


def test_it_rejects_all_but_one_that_saw_the_same_state() -> None:
    workflow = factories.make_workflow(project=factories.make_project())

    def only_on_the_first(current: WorkflowVersion) -> None:
        if current.version != 1:
            raise PreconditionFailed

    results = at_once(lambda number: edit(workflow, number, precondition=only_on_the_first))
    assert [result for result in results if not isinstance(result, PreconditionFailed)] == [2]
    assert workflow.versions.count() == 2


def test_a_change_that_comes_while_ours_is_checked_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    workflow = factories.make_workflow(project=factories.make_project(), definition=chain("a"))
    original = saving.check

    def check(document: Any, project: Any) -> Any:
        monkeypatch.setattr(saving, "check", original)
        edit(workflow, 7)  # another client's, between our reading and our lock
        return original(document, project)

    monkeypatch.setattr(saving, "check", check)
    written = Written(parts={"config": {"priority": 3}})
    version = update_workflow(workflow_id=workflow.pk, attributes=Attributes(), written=written, caller=CALLER)
    assert version.version == 3
    assert version.definition["nodes"][0]["id"] == "n7"
    assert version.definition["config"] == {"priority": 3}


def test_two_imports_of_one_name_create_one_workflow() -> None:
    project = factories.make_project()
    entries = [Entry(pointer="", body={"name": "Same", **chain("a")})]
    results = at_once(lambda _: import_workflows(project=project, entries=entries, caller=CALLER)[0].action)
    assert sorted(results) == ["created", *["unchanged"] * (WRITERS - 1)]
    assert Workflow.objects.filter(project=project).count() == 1


def test_a_version_number_that_is_taken_is_a_conflict() -> None:
    """Even where no lock held (a restored backup, a writer that isn't ours), the constraint keeps versions apart."""
    workflow = factories.make_workflow(project=factories.make_project())
    factories.make_version(workflow=workflow, version=2)
    with pytest.raises(Conflict):
        edit(workflow, 1)
    assert workflow.versions.count() == 2
