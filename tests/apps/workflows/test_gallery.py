"""The gallery in a project."""

import pytest

from flowforge.projects.models import Project
from tests import factories
from tests.apps.workflows.conftest import chain
from tests.support.api import ApiClient
from workflows.models import Workflow
from workflows.services.gallery import gallery, install_gallery

NAMES = ["disk-check", "extract-validate-load", "licence-audit"]


@pytest.fixture(autouse=True)
def _allowed(project: Project) -> None:
    project.settings = {"allowed_step_types": ["python", "generic", "transform", "condition", "switch", "delay"]}
    project.save(update_fields=["settings"])


def test_it_works(client: ApiClient, project: Project) -> None:
    assert [entry.body["name"] for entry in gallery()] == NAMES
    assert [one.action for one in install_gallery(project_id=project.pk)] == ["created"] * 3
    assert sorted(row["name"] for row in client.get("/v1/workflows?tag=gallery").expect(200).data) == NAMES
    assert install_gallery(project_id=project.pk) == []


def test_what_the_project_has_made_of_it_stays(project: Project) -> None:
    own = factories.make_workflow(project=project, name="disk-check", definition=chain("mine"), status="archived")
    assert [one.version.workflow.name for one in install_gallery(project_id=project.pk)] == NAMES[1:]
    kept = Workflow.objects.get(project=project, name="disk-check")
    assert (kept.pk, kept.version, kept.status) == (own.pk, 1, "archived")
