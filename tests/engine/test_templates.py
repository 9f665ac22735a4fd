"""Runs of workflows whose nodes templates made: they go by what was stored, whatever becomes of the templates."""

from typing import Any

import pytest

from flowforge.projects.models import Project
from templates_app.models import StepTemplate, StepTemplateVersion
from tests import factories
from tests.engine.conftest import Flow, fresh, step
from tests.support.api import ApiClient
from tests.support.bells import BellRecorder
from workflows.models import Workflow
from workflows.selectors import definition_of

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("flow")]  # its bells ring within the test's transaction


@pytest.fixture
def adding(project: Project) -> StepTemplate:
    return factories.make_template(
        project=project,
        name="Add",
        config={
            "values": {"sum": "{{ parameters.a + parameters.b }}", "text": "{{ parameters.a }} and {{ inputs.n }}"}
        },
        parameters={
            "required": ["a"],
            "properties": {"a": {"type": "integer"}, "b": {"type": "integer", "default": 10}},
        },
    )


def flow_of(client: ApiClient, bell: BellRecorder, *nodes: Any, **parts: Any) -> Flow:
    made = client.post("/v1/workflows", {"name": "w", "nodes": list(nodes), **parts}).expect(201)
    return Flow(bell, Workflow.objects.get(pk=made.data["id"]))


def test_it_works(client: ApiClient, bell: BellRecorder, adding: StepTemplate) -> None:
    first = {"id": "first", "template_id": "Add", "config": {"parameters": {"a": "{{ inputs.n }}"}}}
    second = {
        "id": "second",
        "template_id": str(adding.pk),
        "config": {"parameters": {"a": "{{ steps.first.output.sum }}", "b": 100}},
    }
    flow = flow_of(
        client,
        bell,
        first,
        second,
        edges=[{"source": "first", "target": "second"}],
        output={"sum": "{{ steps.second.output.sum }}", "text": "{{ steps.second.output.text }}"},
    )
    run = flow.run(n=5)
    assert (run.status, run.outputs) == ("completed", {"sum": 115, "text": "15 and 5"})
    assert client.get(f"/v1/runs/{run.pk}").expect(200).data["steps"][0]["type"] == "transform"


def test_a_run_goes_by_the_version_that_is_pinned(client: ApiClient, bell: BellRecorder, adding: StepTemplate) -> None:
    node = {"id": "only", "template_id": str(adding.pk), "config": {"parameters": {"a": "{{ inputs.n }}"}}}
    flow = flow_of(client, bell, node)
    begun = flow.start(n=1)
    path = f"/v1/templates/{adding.pk}"
    client.patch(path, {"config": {"values": {"sum": "{{ parameters.a - parameters.b }}"}}}).expect(200)
    client.delete(path, force="true").expect(204)
    StepTemplateVersion.objects.update(config={"values": {"sum": "gone"}})  # nobody looks at it any more
    definition_of.cache_clear()
    flow.drain()
    assert fresh(begun).outputs == {"only": {"sum": 11, "text": "1 and 1"}}
    assert flow.run(n=2).outputs["only"]["sum"] == 12


def test_a_template_may_make_a_map(client: ApiClient, bell: BellRecorder, project: Project) -> None:
    row = factories.make_template(
        project=project,
        step_type="map",
        config={
            "items": "{{ parameters.rows }}",
            "step": {"type": "transform", "config": {"values": {"x": "{{ item * parameters.factor }}"}}},
        },
        parameters={"properties": {"rows": {"type": "array"}, "factor": {"type": "integer"}}},
    )
    given = {"rows": "{{ inputs.rows }}", "factor": 3}
    flow = flow_of(client, bell, {"id": "each", "template_id": str(row.pk), "config": {"parameters": given}})
    run = flow.run(rows=[1, 2])
    assert run.status == "completed", run.error
    assert run.outputs["each"]["results"] == [{"x": 3}, {"x": 6}]


def test_a_parameter_that_does_not_come_to_be_fails_the_step(
    client: ApiClient, bell: BellRecorder, adding: StepTemplate
) -> None:
    node = {"id": "only", "template_id": str(adding.pk), "config": {"parameters": {"a": "{{ inputs.missing }}"}}}
    run = flow_of(client, bell, node).run()
    assert run.status == "failed"
    assert step(run, "only").error["code"] == "expression_undefined"
