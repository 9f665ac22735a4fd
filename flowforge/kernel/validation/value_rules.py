"""Single values: step types, configs, durations, rates, the input schema."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from flowforge.core.errors import Fault
from flowforge.core.jsonschema import SchemaError, compile_schema
from flowforge.kernel import durations
from flowforge.kernel.validation.draft import Draft, suggestion

_RETRY_DURATIONS = ("initial_delay", "max_delay")


def faults(draft: Draft) -> Iterator[Fault]:
    """Everything wrong with single values."""
    for index, node in draft.nodes:
        yield from node_faults(draft, node, f"/nodes/{index}")
    for found in draft.config_faults.values():
        yield from found
    yield from _run_config(draft.config)
    yield from _input_schema(draft)


def node_faults(draft: Draft, node: Mapping[str, Any], at: str) -> Iterator[Fault]:
    """What is wrong with the values of a node, its config aside."""
    if "type" in node:
        yield from _step_type(draft, node["type"], f"{at}/type")
    yield from _positive(node, "timeout", at)
    yield from _retry(node.get("retry"), f"{at}/retry")
    if node.get("cache") is not None:
        yield from _positive(node["cache"], "ttl", f"{at}/cache")
    if node.get("compensate") is not None:
        yield from _compensate(draft, node["compensate"], f"{at}/compensate")


def _compensate(draft: Draft, step: Mapping[str, Any], at: str) -> Iterator[Fault]:
    name = step.get("type")
    if name is not None:
        yield from _step_type(draft, name, f"{at}/type")
        if draft.catalogue.get(name) is not None:
            yield from (fault.under(f"{at}/config") for fault in draft.catalogue.faults(name, step.get("config") or {}))
    yield from _positive(step, "timeout", at)
    yield from _retry(step.get("retry"), f"{at}/retry")


def _step_type(draft: Draft, name: str, at: str) -> Iterator[Fault]:
    if draft.catalogue.get(name) is None:
        detail = f"there is no step type {name!r}{suggestion(name, draft.catalogue.names())}"
        yield Fault(pointer=at, code="unknown_type", detail=detail)
    elif draft.allowed_types is not None and name not in draft.allowed_types:
        detail = f"the project does not allow the step type {name!r}"
        yield Fault(pointer=at, code="type_not_allowed", detail=detail)


def _run_config(config: Mapping[str, Any]) -> Iterator[Fault]:
    for name in ("timeout", "expires_in", "expected_duration"):
        yield from _positive(config, name, "/config")
    yield from _retry(config.get("retry_policy"), "/config/retry_policy")
    yield from _positive(config.get("budget") or {}, "wall_time", "/config/budget")
    yield from _parsed(config.get("debounce") or {}, "delay", "/config/debounce", durations.parse)
    yield from _parsed(
        config.get("rate_limit") or {}, "limit", "/config/rate_limit", durations.parse_rate, "invalid_rate"
    )


def _retry(policy: Mapping[str, Any] | None, at: str) -> Iterator[Fault]:
    for name in _RETRY_DURATIONS:
        yield from _parsed(policy or {}, name, at, durations.parse)


def _positive(owner: Mapping[str, Any], name: str, at: str) -> Iterator[Fault]:
    return _parsed(owner, name, at, _parse_positive)


def _parse_positive(value: object) -> float:
    seconds = durations.parse(value)
    if seconds <= 0:
        raise ValueError("this duration has to be more than 0")
    return seconds


def _parsed(
    owner: Mapping[str, Any], name: str, at: str, parse: Callable[[object], object], code: str = "invalid_duration"
) -> Iterator[Fault]:
    if owner.get(name) is None:
        return
    try:
        parse(owner[name])
    except ValueError as error:
        yield Fault(pointer=f"{at}/{name}", code=code, detail=str(error))


def _input_schema(draft: Draft) -> Iterator[Fault]:
    schema = draft.document.get("input_schema")
    if schema is None:
        return
    try:
        compile_schema(schema)
    except SchemaError as error:
        yield Fault(pointer=f"/input_schema{error.pointer}", code=error.code, detail=str(error))
