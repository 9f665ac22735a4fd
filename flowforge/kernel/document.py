"""From a stored document (what the client wrote, found valid) to a Definition: fast, without a check."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from flowforge.kernel import durations
from flowforge.kernel.definition import (
    Cache,
    Compensation,
    Concurrency,
    Debounce,
    Definition,
    Each,
    Edge,
    Node,
    RateLimit,
    RetryPolicy,
    RunConfig,
)

Document = Mapping[str, Any]

NO_RETRY: Final = RetryPolicy()
# what a policy that is given, but says nothing of them, has (no policy at all: a single attempt)
POLICY_DEFAULTS: Final[Document] = {
    "max_attempts": 3,
    "initial_delay": 1.0,
    "max_delay": 300.0,
    "backoff_factor": 2.0,
    "jitter": 0.1,
}


def load(document: Document) -> Definition:
    """The Definition of a document that `validation.validate` returned as its `document`."""
    config: Document = document.get("config") or {}
    policy: Document | None = config.get("retry_policy")
    return Definition(
        nodes=tuple(_node(index, node, policy) for index, node in enumerate(document.get("nodes", ()))),
        edges=tuple(_edge(index, edge) for index, edge in enumerate(document.get("edges", ()))),
        config=_run_config(config),
        input_schema=document.get("input_schema"),
        output=document.get("output"),
    )


def as_expression(when: object) -> str | None:
    """A node's `when` in its one form, text within {{ }}; people also write it bare (`inputs.x > 1`), or a boolean."""
    if when is None:
        return None
    if isinstance(when, bool):
        return "{{ true }}" if when else "{{ false }}"
    return str(when) if "{{" in str(when) else f"{{{{ {when} }}}}"


def as_label(when: object) -> str | None:
    """An edge's `when` as text: YAML reads the labels true and 1 as a boolean and a number."""
    if when is None or isinstance(when, str):
        return when
    return str(when).lower()


def retry_policy(*given: Document | None) -> RetryPolicy:
    """The policy of the mappings that are given, the later ones over the earlier; a single attempt without any."""
    policies = [policy for policy in given if policy is not None]
    if not policies:
        return NO_RETRY
    merged = dict(POLICY_DEFAULTS)
    for policy in policies:
        merged |= policy
    return RetryPolicy(
        max_attempts=int(merged["max_attempts"]),
        initial_delay=durations.parse(merged["initial_delay"]),
        max_delay=durations.parse(merged["max_delay"]),
        backoff_factor=float(merged["backoff_factor"]),
        jitter=float(merged["jitter"]),
    )


def _node(position: int, node: Document, policy: Document | None) -> Node:
    return Node(
        id=node["id"],
        position=position,
        type=node.get("type") or "",
        name=node.get("name") or "",
        config=node.get("config") or {},
        retry=retry_policy(policy, node.get("retry")),
        timeout_seconds=_seconds(node.get("timeout")),
        priority=int(node.get("priority") or 0),
        join=node.get("join") or "all",
        when=as_expression(node.get("when")),
        on_error=node.get("on_error") or "fail",
        queue=node.get("queue"),
        cache=_cache(node.get("cache")),
        template_id=node.get("template_id"),
        template_version=node.get("template_version"),
        compensate=_compensation(node.get("compensate"), policy),
        each=_each(position, node, policy),
    )


def _each(position: int, node: Document, policy: Document | None) -> Each | None:
    if node.get("type") != "map":
        return None
    config: Document = node["config"]
    step = config.get("step") or run_each(config)
    inherited = {name: node[name] for name in ("queue", "priority") if node.get(name) is not None}
    item = _node(position, {**inherited, **step, "id": node["id"]}, policy)
    return Each(
        step=replace(item, is_item=True),
        max_concurrency=config.get("max_concurrency"),
        goes_on=config.get("on_error") == "continue",
    )


def run_each(config: Document) -> Document:
    """The step of a map that names a workflow: a run an item, whose inputs are the item unless it says otherwise."""
    asked = {"workflow_id": config["workflow_id"], "inputs": config.get("inputs", "{{ item }}")}
    return {"type": "workflow", "config": asked}


def _cache(rule: Document | None) -> Cache | None:
    return None if rule is None else Cache(key=rule["key"], ttl_seconds=durations.parse(rule["ttl"]))


def _compensation(step: Document | None, policy: Document | None) -> Compensation | None:
    if step is None:
        return None
    return Compensation(
        type=step["type"],
        config=step.get("config") or {},
        retry=retry_policy(policy, step.get("retry")),
        timeout_seconds=_seconds(step.get("timeout")),
    )


def _edge(position: int, edge: Document) -> Edge:
    return Edge(
        position=position,
        source=edge["source"],
        target=edge["target"],
        on=edge.get("on") or "success",
        when=as_label(edge.get("when")),
    )


def _run_config(config: Document) -> RunConfig:
    return RunConfig(
        max_concurrency=int(config.get("max_concurrency") or 10),
        timeout_seconds=_seconds(config.get("timeout")),
        retry=retry_policy(config.get("retry_policy")),
        priority=int(config.get("priority") or 0),
        concurrency=_concurrency(config.get("concurrency")),
        rate_limit=_rate_limit(config.get("rate_limit")),
        debounce=_debounce(config.get("debounce")),
        expires_in_seconds=_seconds(config.get("expires_in")),
        expected_duration_seconds=_seconds(config.get("expected_duration")),
        on_failure=config.get("on_failure"),
        budget=config.get("budget"),
    )


def _concurrency(rule: Document | None) -> Concurrency | None:
    return None if rule is None else Concurrency(**rule)


def _rate_limit(rule: Document | None) -> RateLimit | None:
    if rule is None:
        return None
    limit, seconds = durations.parse_rate(rule["limit"])
    return RateLimit(limit=limit, seconds=seconds, key=rule.get("key"))


def _debounce(rule: Document | None) -> Debounce | None:
    return None if rule is None else Debounce(delay_seconds=durations.parse(rule["delay"]), key=rule.get("key"))


def _seconds(value: object) -> float | None:
    return None if value is None else durations.parse(value)
