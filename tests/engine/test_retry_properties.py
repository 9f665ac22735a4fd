"""Any graph that fails here and there and is retried ends as if all had succeeded at once, each step done once."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from flowforge.kernel.definition import Definition
from runs.services.retrying import retry_run
from tests.engine.conftest import Flow, fresh, statuses
from tests.support import invariants
from tests.support.machine import BROKEN, Script, definitions, expect, without_broken_edges
from tests.support.step_types import Effect

pytestmark = pytest.mark.django_db


@st.composite
def programs(draw: st.DrawFn) -> tuple[Definition, frozenset[str]]:
    """A graph in which nothing fails for ever and nothing has labels, and the nodes whose first attempt fails."""
    drawn = without_broken_edges(draw(definitions(max_nodes=8)))
    nodes = tuple(replace(node, when=None) if node.when == BROKEN else node for node in drawn.nodes)
    failing = draw(st.frozensets(st.sampled_from([node.id for node in nodes]))) if nodes else frozenset()
    edges = tuple(replace(edge, when=None) if edge.when in ("left", "right") else edge for edge in drawn.edges)
    return Definition(nodes=nodes, edges=edges, config=drawn.config), failing


def document(definition: Definition, failing: frozenset[str]) -> dict[str, Any]:
    """As a client writes it."""
    return {
        "nodes": [
            {
                "id": node.id,
                "type": "effect",
                "config": {"fail_times": int(node.id in failing)},
                "join": node.join,
                "on_error": node.on_error,
                "priority": node.priority,
                **({"when": node.when} if node.when else {}),
            }
            for node in definition.nodes
        ],
        "edges": [
            {"source": edge.source, "target": edge.target, "on": edge.on, **({"when": edge.when} if edge.when else {})}
            for edge in definition.edges
        ],
        "config": {"max_concurrency": definition.config.max_concurrency},
    }


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(program=programs())
def test_it_works(flow: Any, program: tuple[Definition, frozenset[str]]) -> None:
    definition, failing = program
    Effect.reset()
    made: Flow = flow(document(definition, failing))
    run = made.run()
    retries = 0
    while run.status == "failed":
        retries += 1
        assert retries <= len(definition.nodes), "the run never completes"
        retry_run(run_id=run.pk, caller_actor="test")
        made.drain()
        run = fresh(run)
    ended = statuses(run)
    kept_failures = frozenset(node for node, status in ended.items() if status == "failed")
    script = Script(fails=kept_failures, branches=dict.fromkeys(ended), seed=0)
    assert run.status == "completed"
    assert run.attempt == retries + 1
    assert ended == expect(definition, script).statuses
    for node_id, status in ended.items():
        done = Effect.seen[str(run.pk), node_id]
        assert done == {"completed": 1 + (node_id in failing), "failed": 1, "skipped": 0}[status]
    assert invariants.violations([invariants.story_of(run)]) == []
