"""From stored documents to definitions."""

from typing import Any

import pytest

from flowforge.kernel.definition import Cache, Compensation, Concurrency, Debounce, RateLimit, RetryPolicy
from flowforge.kernel.document import as_expression, as_label, load, retry_policy

WORST = RetryPolicy(max_attempts=3, initial_delay=1.0, max_delay=300.0, backoff_factor=2.0, jitter=0.1)


def node(**fields: Any) -> dict[str, Any]:
    return {"id": "a", "type": "http", **fields}


FULL: dict[str, Any] = {
    "nodes": [
        node(
            name="A",
            config={"url": "x"},
            retry={"max_attempts": 5},
            timeout="30s",
            priority=2,
            join="any",
            when="inputs.x > 1",
            on_error="continue",
            queue="gpu",
            cache={"key": "{{ inputs.x }}", "ttl": "1h"},
            template_id="t",
            template_version=2,
            position={"x": 1, "y": 2},
            compensate={"type": "http", "config": {"url": "undo"}, "timeout": "1m"},
        ),
        {"id": "b", "type": "http"},
    ],
    "edges": [{"source": "a", "target": "b", "on": "always", "when": True}],
    "config": {
        "max_concurrency": 4,
        "timeout": "PT1H",
        "priority": 7,
        "retry_policy": {"initial_delay": "2s"},
        "concurrency": {"key": "{{ inputs.c }}", "limit": 3, "on_conflict": "reject"},
        "rate_limit": {"limit": "100/m"},
        "debounce": {"key": "k", "delay": "30s"},
        "expires_in": "1d",
        "expected_duration": 600,
        "on_failure": {"workflow_id": "w"},
        "budget": {"cost": 1},
    },
    "input_schema": {"type": "object"},
    "output": "{{ steps.a.output }}",
}


def test_it_works_with_everything_given() -> None:
    definition = load(FULL)
    first = definition.by_id["a"]
    assert (first.retry.max_attempts, first.retry.initial_delay, first.timeout_seconds) == (5, 2.0, 30)
    assert (first.name, first.priority, first.join, first.on_error, first.queue) == ("A", 2, "any", "continue", "gpu")
    assert first.when == "{{ inputs.x > 1 }}"
    assert first.cache == Cache(key="{{ inputs.x }}", ttl_seconds=3600)
    assert (first.template_id, first.template_version) == ("t", 2)
    assert first.compensate == Compensation(
        type="http", config={"url": "undo"}, timeout_seconds=60, retry=retry_policy({"initial_delay": 2})
    )
    assert (definition.edges[0].on, definition.edges[0].when) == ("always", "true")
    config = definition.config
    assert (config.max_concurrency, config.timeout_seconds, config.priority) == (4, 3600, 7)
    assert config.concurrency == Concurrency(key="{{ inputs.c }}", limit=3, on_conflict="reject")
    assert config.rate_limit == RateLimit(limit=100, seconds=60)
    assert config.debounce == Debounce(key="k", delay_seconds=30)
    assert (config.expires_in_seconds, config.expected_duration_seconds) == (86_400, 600)
    assert (config.on_failure, config.budget) == ({"workflow_id": "w"}, {"cost": 1})
    assert definition.input_schema == {"type": "object"}
    assert definition.output == "{{ steps.a.output }}"


def test_defaults_and_nulls_are_the_same() -> None:
    optional = ["name", "config", "retry", "timeout", "priority", "join", "when", "on_error", "queue", "cache"]
    optional += ["template_id", "template_version", "position", "compensate"]
    sparse = load({"nodes": [node()], "edges": [], "config": {}})
    null = load({"nodes": [node(**dict.fromkeys(optional))], "edges": [], "config": None, "output": None})
    assert sparse == null
    assert sparse.config.max_concurrency == 10
    assert sparse.nodes[0].retry == RetryPolicy(max_attempts=1)
    assert sparse.nodes[0].timeout_seconds is None
    assert load({}).nodes == ()


def test_an_empty_concurrency_rule_is_one() -> None:
    assert load({"config": {"concurrency": {}}}).config.concurrency == Concurrency(limit=1, on_conflict="queue")


@pytest.mark.parametrize(
    ("config", "of_node", "expected"),
    [
        (None, None, RetryPolicy(max_attempts=1)),
        ({}, None, WORST),
        (None, {}, WORST),
        (None, {"max_attempts": 5}, RetryPolicy(max_attempts=5)),
        ({"max_attempts": 4, "initial_delay": "3s"}, {"max_attempts": 2}, RetryPolicy(max_attempts=2, initial_delay=3)),
        ({"max_attempts": 4}, {"max_delay": 60}, RetryPolicy(max_attempts=4, max_delay=60)),
    ],
)
def test_a_nodes_policy_lies_over_the_workflows(config: Any, of_node: Any, expected: RetryPolicy) -> None:
    assert retry_policy(config, of_node) == expected


@pytest.mark.parametrize(
    ("written", "expression"),
    [(None, None), (True, "{{ true }}"), (False, "{{ false }}"), ("a > 1", "{{ a > 1 }}"), ("{{ a }}", "{{ a }}")],
)
def test_a_condition_has_one_form(written: object, expression: str | None) -> None:
    assert as_expression(written) == expression


@pytest.mark.parametrize(
    ("written", "label"), [(None, None), (True, "true"), (False, "false"), (1, "1"), ("High", "High")]
)
def test_a_label_is_text(written: object, label: str | None) -> None:
    assert as_label(written) == label
