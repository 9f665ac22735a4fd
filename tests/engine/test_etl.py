"""etl steps in runs: stored credentials, a project's own folder, assets of the project, and what is kept of it all."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from flowforge.engine.execution import step_settings, with_own_roots
from runs.models import RunEvent
from tests import factories
from tests.engine.conftest import chain, step
from tests.support.data import AWS, Bucket, s3_server

pytestmark = [pytest.mark.django_db, pytest.mark.processes]


@pytest.fixture(autouse=True)
def _allowed(settings: Any, project: Any, tmp_path: Path) -> Iterator[None]:
    settings.HOME = tmp_path
    settings.FILE_ROOTS = [tmp_path / "files" / "{project}"]
    settings.ALLOW_PRIVATE_TARGETS = ["127.0.0.0/8"]
    project.settings = {"allowed_step_types": ["etl"]}
    project.save(update_fields=["settings"])
    step_settings.cache_clear()
    yield
    step_settings.cache_clear()


@pytest.fixture
def bucket() -> Iterator[Bucket]:
    with s3_server() as found:
        yield found


def etl(**config: Any) -> dict[str, Any]:
    return {"id": "load", "type": "etl", "config": config}


def test_it_works(flow: Any, project: Any, bucket: Bucket, tmp_path: Path) -> None:
    factories.make_credential(project=project, name="s3", type="aws", data={**AWS, "endpoint_url": bucket.endpoint})
    folder = tmp_path / "files" / str(project.id)
    folder.mkdir(parents=True)
    (folder / "in.csv").write_text("a\n1\n2\n")
    run = flow(chain(etl(source_url="file://in.csv", target_url="s3://bucket/out.json", target_credential="s3"))).run()
    assert run.status == "completed", step(run, "load").error
    assert step(run, "load").output["rows_written"] == 2
    assert json.loads(bucket.read("out.json")) == [{"a": 1}, {"a": 2}]
    kept = json.dumps(list(RunEvent.objects.values_list("data", flat=True))) + json.dumps(step(run, "load").output)
    assert AWS["secret_access_key"] not in kept


def test_it_rejects_another_projects_folder(flow: Any, other_project: Any, tmp_path: Path) -> None:
    folder = tmp_path / "files" / str(other_project.id)
    folder.mkdir(parents=True)
    (folder / "in.csv").write_text("a\n1\n")
    for source in (f"file://{folder}/in.csv", f"file://../{other_project.id}/in.csv"):
        run = flow(chain(etl(source_url=source, target_url="file://out.csv"))).run()
        assert (run.status, step(run, "load").error["code"]) == ("failed", "file_refused")


def test_roots_without_a_place_for_the_project_are_everybodys(project: Any, settings: Any, tmp_path: Path) -> None:
    settings.FILE_ROOTS = [tmp_path]
    step_settings.cache_clear()
    assert with_own_roots(step_settings(), project.id) is step_settings()
