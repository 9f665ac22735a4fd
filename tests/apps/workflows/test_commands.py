"""manage.py import_workflows, export_workflows, validate_workflow."""

from io import StringIO
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

from flowforge.projects.models import Project
from tests import factories
from tests.apps.workflows.conftest import chain
from workflows.models import Workflow
from workflows.services import yaml_text


def run(name: str, *arguments: object, **options: object) -> str:
    out = StringIO()
    call_command(name, *map(str, arguments), stdout=out, **options)
    return out.getvalue()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "flow.yaml"
    path.write_text(yaml_text.dump({"name": "From a file", "definition": chain("a", "b")}))
    return path


def test_it_works(project: Project, file: Path, tmp_path: Path) -> None:
    assert run("import_workflows", file) == "created From a file (version 1)\n"
    assert run("import_workflows", file, "--project", project.pk) == "unchanged From a file (version 1)\n"
    folder = tmp_path / "out"
    assert run("export_workflows", "--to", folder) == f"{folder / 'from-a-file.yaml'}\n"
    Workflow.objects.update(name="Renamed")
    assert run("import_workflows", folder / "from-a-file.yaml") == "created From a file (version 1)\n"
    both = tmp_path / "both.yaml"
    both.write_text(run("export_workflows", "From a file", "Renamed"))
    assert run("import_workflows", both) == "unchanged From a file (version 1)\nunchanged Renamed (version 1)\n"


def test_names_that_look_alike_get_files_of_their_own(project: Project, tmp_path: Path) -> None:
    for name in ("A b", "a-b", "Archived"):
        factories.make_workflow(project=project, name=name, definition=chain("x"))
    Workflow.objects.filter(name="Archived").update(status="archived")
    run("export_workflows", "--to", tmp_path, "--format", "json")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a-b-2.json", "a-b.json"]


def test_validate_stores_nothing(project: Project, file: Path, tmp_path: Path) -> None:
    assert run("validate_workflow", file) == f"{file}: 1 valid\n"
    empty = tmp_path / "empty.json"
    empty.write_text('[{"name": "x"}]')
    assert f"{empty} /0/nodes: without nodes" in run("validate_workflow", empty)
    assert not Workflow.objects.exists()


def test_it_rejects_what_is_wrong_with_all_its_faults(project: Project, tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.yaml"
    wrong.write_text("- {name: x, nodes: [{id: a, type: nope}]}\n- {nme: y}\n")
    for command in ("validate_workflow", "import_workflows"):
        with pytest.raises(CommandError) as caught:
            run(command, wrong)
        assert "/0/nodes/0/type" in str(caught.value)
        assert "/1/nme: " in str(caught.value)
    wrong.write_text("a: [")
    with pytest.raises(CommandError, match="line 2"):
        run("import_workflows", wrong)
    with pytest.raises(CommandError, match="cannot be read"):
        run("import_workflows", tmp_path / "nothing.yaml")
    assert not Workflow.objects.exists()


def test_it_rejects_to_guess_the_project(project: Project, other_project: Project, file: Path) -> None:
    with pytest.raises(CommandError, match="more than one"):
        run("import_workflows", file)
    with pytest.raises(CommandError, match="no active project called 'Nowhere'"):
        run("import_workflows", file, "--project", "Nowhere")
    run("import_workflows", file, "--project", other_project.name)
    assert Workflow.objects.get().project == other_project
    with pytest.raises(CommandError, match="no workflow called Missing"):
        run("export_workflows", "Missing", "--project", other_project.name)
