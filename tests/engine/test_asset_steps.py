"""Steps that read assets: prompts of models, code of snippets; and definitions that name them."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from flowforge.assets.models import Asset
from flowforge.assets.selectors import get_version
from flowforge.assets.services import reading
from flowforge.engine import execution
from flowforge.projects.models import Project
from runs.models import Run
from tests import factories
from tests.engine.conftest import Flow, chain, step
from tests.support.llm_server import LlmServer
from workflows.services.definitions import check

pytestmark = pytest.mark.django_db
MakeFlow = Callable[..., Flow]
CODE = b"def main(n):\n    return n * 2\n"


@pytest.fixture(autouse=True)
def _operator(settings: Any, project: Project) -> Iterator[None]:
    settings.ALLOW_PRIVATE_TARGETS = ["127.0.0.0/8"]
    execution.step_settings.cache_clear()
    project.settings = {"allowed_step_types": ["llm", "python", "etl", "map", "transform"]}
    project.save(update_fields=["settings"])
    yield
    execution.step_settings.cache_clear()


@pytest.fixture
def prompt(project: Project) -> Asset:
    return factories.make_asset(project=project, type="prompt", content=b"Summarise {{ what }} in {{ n }} words.")


def asking(server: LlmServer, **config: Any) -> dict[str, Any]:
    return {
        "id": "ask",
        "type": "llm",
        "config": {"provider": "openai", "base_url": server.url, "model": "m", **config},
    }


def python(**config: Any) -> dict[str, Any]:
    return {"id": "code", "type": "python", "config": config}


def said(server: LlmServer) -> list[str]:
    return [question.body["messages"][0]["content"] for question in server.asked]


def error_of(run: Run, node_id: str) -> dict[str, Any]:
    found: dict[str, Any] = step(run, node_id).error
    return found


def test_it_works(flow: MakeFlow, prompt: Asset, llm_server: LlmServer) -> None:
    config = {"prompt_asset_id": str(prompt.pk), "prompt_variables": {"what": "{{ inputs.text }}", "n": 9}}
    run = flow(chain(asking(llm_server, **config))).run(text="it, {{ 1 + 1 }}")
    assert run.status == "completed"
    assert said(llm_server) == ["Summarise it, {{ 1 + 1 }} in 9 words."]  # what an input holds is no template


def test_the_newest_version_is_used_unless_one_is_pinned(
    flow: MakeFlow, prompt: Asset, llm_server: LlmServer, client: Any
) -> None:
    asset_id = str(prompt.pk)
    pinned = {"prompt_asset_version": 1, "prompt_variables": {"what": "all", "n": 1}}
    newest = flow(chain(asking(llm_server, prompt_asset_id=asset_id)))
    old = flow(chain(asking(llm_server, prompt_asset_id=asset_id, **pinned)))
    client.patch(f"/v1/assets/{asset_id}", {"content": "Hello."}).expect(200)
    assert (newest.run().status, old.run().status) == ("completed", "completed")
    assert said(llm_server) == ["Hello.", "Summarise all in 1 words."]


@pytest.mark.parametrize(
    ("config", "code"),
    [
        ({"prompt_variables": {"what": "x"}}, "prompt_variables"),
        ({"prompt_variables": {"what": "x", "n": 1, "m": 2}}, "prompt_variables"),
        ({"prompt_asset_version": 7, "prompt_variables": {"what": "x", "n": 1}}, "not_available"),
    ],
)
def test_it_rejects_what_does_not_fit_the_prompt(
    flow: MakeFlow, prompt: Asset, llm_server: LlmServer, config: dict[str, Any], code: str
) -> None:
    run = flow(chain(asking(llm_server, prompt_asset_id=str(prompt.pk), **config))).run()
    assert (run.status, error_of(run, "ask")["code"], llm_server.asked) == ("failed", code, [])


def test_it_rejects_an_asset_of_another_project_at_run(
    flow: MakeFlow, other_project: Project, llm_server: LlmServer
) -> None:
    """Its id may come as an input: it is as if it did not exist."""
    foreign = factories.make_asset(project=other_project, type="prompt", content=b"secret")
    made = flow(chain(asking(llm_server, prompt_asset_id="{{ inputs.id }}")))
    errors = []
    for asset_id in (str(foreign.pk), factories.unknown_id()):
        error = error_of(made.run(id=asset_id), "ask")
        errors.append((error["code"], error["message"].replace(asset_id, "")))
    assert errors[0] == errors[1] == ("not_available", "The project has no asset ''.")
    assert llm_server.asked == []


def test_a_snippet_is_run(flow: MakeFlow, project: Project) -> None:
    snippet = factories.make_asset(project=project, type="snippet", content=CODE)
    run = flow(chain(python(code_asset_id=str(snippet.pk), inputs={"n": "{{ inputs.n }}"}))).run(n=21)
    assert (run.status, step(run, "code").output) == ("completed", 42)


def test_it_rejects_a_snippet_that_is_no_code(flow: MakeFlow, project: Project) -> None:
    snippet = factories.make_asset(project=project, type="snippet", content=b"SELECT 1")
    run = flow(chain(python(code_asset_id=str(snippet.pk)))).run()
    assert error_of(run, "code")["code"] == "invalid_code"


# --- when a definition is saved -----------------------------------------------------------------------------------


def faults(project: Project, *nodes: dict[str, Any]) -> dict[str, str]:
    return {fault.pointer: fault.code for fault in check(chain(*nodes), project).errors}


def test_it_rejects_ids_that_are_not_the_projects(
    project: Project, other_project: Project, prompt: Asset, llm_server: LlmServer
) -> None:
    foreign = factories.make_asset(project=other_project, type="prompt", content=b"x")
    dataset = factories.make_asset(project=project)
    at = "/nodes/0/config/prompt_asset_id"
    assert faults(project, asking(llm_server, prompt_asset_id=str(prompt.pk))) == {}
    assert faults(project, asking(llm_server, prompt_asset_id="{{ inputs.id }}")) == {}
    for unknown in (str(foreign.pk), factories.unknown_id(), "nonsense"):
        assert faults(project, asking(llm_server, prompt_asset_id=unknown)) == {at: "unknown_asset"}
    assert faults(project, asking(llm_server, prompt_asset_id=str(dataset.pk))) == {at: "asset_type"}


def test_it_rejects_urls_and_nested_steps_that_name_what_is_not_there(
    project: Project, other_project: Project, llm_server: LlmServer
) -> None:
    foreign, own = factories.make_asset(project=other_project), factories.make_asset(project=project)
    transform = {"id": "t", "type": "transform", "config": {"values": {"a": f"asset://{foreign.pk}"}}}
    assert faults(project, transform) == {"/nodes/0/config/values/a": "unknown_asset"}
    transform["config"] = {"values": {"a": f"asset://{own.pk}", "b": "asset://{{ inputs.id }}"}}
    assert faults(project, transform) == {}
    inner = asking(llm_server, prompt_asset_id=str(foreign.pk))
    mapped = {"id": "m", "type": "map", "config": {"items": "{{ [1] }}", "step": inner}}
    assert faults(project, mapped) == {"/nodes/0/config/step/config/prompt_asset_id": "unknown_asset"}


def test_it_rejects_members_that_do_not_go_together(project: Project, prompt: Asset, llm_server: LlmServer) -> None:
    snippet = str(factories.make_asset(project=project, type="snippet", content=CODE).pk)
    code = CODE.decode()
    at = "/nodes/0/config"
    assert faults(project, asking(llm_server, prompt="x", prompt_variables={})) == {
        f"{at}/prompt_variables": "needless"
    }
    assert faults(project, python(code_asset_id=snippet)) == {}
    assert faults(project, python(code=code, code_asset_id=snippet)) == {f"{at}/code_asset_id": "one_of"}
    assert faults(project, python()) == {f"{at}/code": "required"}
    assert faults(project, python(code=code, code_asset_version=1)) == {f"{at}/code_asset_version": "needless"}
    assert faults(project, python(code_asset_id="{{ inputs.id }}")) == {f"{at}/code_asset_id": "computed_asset"}


# --- data ---------------------------------------------------------------------------------------------------------


def test_data_go_from_an_asset_to_the_next_version_of_another(flow: MakeFlow, project: Project) -> None:
    source = factories.make_asset(project=project, content=b"name,n\nAda,1\nBob,2\nAda,1\n")
    target = factories.make_asset(project=project, content=b"")
    config = {
        "source_url": f"asset://{source.pk}",
        "target_url": f"asset://{target.pk}",
        "target_format": "ndjson",
        "mode": "replace",
        "transformation": "deduplicate",
    }
    made = flow(chain({"id": "load", "type": "etl", "config": config}))
    for _ in range(2):  # what is written twice is one version
        run = made.run()
        assert run.status == "completed", step(run, "load").error
    target.refresh_from_db()
    rows = sorted(json.loads(line)["name"] for line in content_of(target).splitlines())
    assert (target.version, target.updated_by.partition(":")[0], rows) == (2, "run", ["Ada", "Bob"])


def content_of(asset: Asset) -> bytes:
    return b"".join(reading.pieces(get_version(asset)))
