"""Checks of a repository that is served on the loopback."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from runs.models import Run
from tests.engine.gallery.conftest import Gallery
from tests.support import git_server
from tests.support.api import ApiClient
from tests.support.git_server import GitServer
from webhooks.models import Webhook
from workflows.services.gallery import item

pytestmark = [pytest.mark.django_db, pytest.mark.processes]

GOOD = "import unittest\n\nclass T(unittest.TestCase):\n    def test_sum(self):\n        self.assertEqual(1 + 1, 2)\n"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[GitServer]:
    (tmp_path / "repositories").mkdir()
    with git_server.serve(tmp_path / "repositories") as found:
        yield found


def test_it_works(gallery: Gallery, server: GitServer, files: Path) -> None:
    repository = server.repository("good")
    commit = repository.commit({"tests/test_sum.py": GOOD}, "trunk")
    run = gallery.play("repository-checks", repo_url=server.url("good"), branch="trunk")
    assert run.status == "completed", run.error
    assert (run.outputs["passed"], run.outputs["commit"], run.outputs["reason"]) == (True, commit, None)
    kept = {Path(one["path"]).name: one for one in run.outputs["artifacts"]}
    assert set(kept) == {"commit.txt", "tests.txt"}
    [report] = files.rglob("tests.txt")
    assert "test_sum" in report.read_text()
    assert "OK" in report.read_text()
    told = {"repo_url": server.url("good"), "branch": "trunk", "commit": commit}
    assert gallery.told() == [("checks.passed", told)]


def test_tests_that_fail(gallery: Gallery, server: GitServer) -> None:
    repository = server.repository("bad", {"Makefile": "test:\n\t@echo the sum is wrong; exit 3\n"})
    run = gallery.play("repository-checks", repo_url=server.url("bad"), branch="main")
    assert run.status == "completed", run.error
    assert (run.outputs["passed"], run.outputs["commit"]) == (False, repository.git("rev-parse", "main"))
    assert len(run.outputs["artifacts"]) == 2
    assert "the sum is wrong" in run.steps.get(node_id="checks").output["stdout"]
    [(name, payload)] = gallery.told()
    assert (name, payload["code"]) == ("checks.failed", "exit_code")


def test_a_push_checks_its_own_commit(gallery: Gallery, server: GitServer, client: ApiClient) -> None:
    repository = server.repository("pushed")
    pushed = repository.commit({"README": "first"})
    repository.commit({"README": "second"})
    body = {
        "workflow_id": str(gallery.installed["repository-checks"].pk),
        **item("repository-checks").triggers["webhook"],
    }
    made = client.post("/v1/webhooks", {**body, "auth": "api_key"}).expect(201).data
    push = {"ref": "refs/heads/main", "after": pushed, "repository": {"clone_url": server.url("pushed")}}
    told = {"X-GitHub-Event": "push"}
    answer = client.post(f"/v1/webhooks/{made['id']}/ingest", push, headers=told).expect(202)
    run = gallery.settle(Run.objects.get(pk=answer.data["run_id"]))
    assert (run.inputs["branch"], run.outputs["passed"], run.outputs["commit"]) == ("main", True, pushed)
    gone = {**push, "after": "0" * 40}
    assert client.post(f"/v1/webhooks/{made['id']}/ingest", gone, headers=told).expect(200).data["run_id"] is None
    assert Webhook.objects.count() == 1
