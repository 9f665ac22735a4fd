"""What a webhook makes of a call: whether it starts a run, with which inputs, and which calls are one."""

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from flowforge.core import json
from flowforge.core.errors import Fault, InvalidBody
from flowforge.core.json import Json
from flowforge.kernel.expressions import (
    Expression,
    ExpressionError,
    Reference,
    Template,
    compile_expression,
    compile_template,
    faults,
    truthy,
)
from webhooks.models import Webhook

NAMES: Final = ("payload", "headers", "query", "event")
_READABLE_KEY_LENGTH: Final = 150  # a longer key is known by its hash

_expression = lru_cache(maxsize=2_000)(compile_expression)
_template = lru_cache(maxsize=500)(lambda text: compile_template(json.loads_trusted(text)))


@dataclass(frozen=True, kw_only=True, slots=True)
class Wanted:
    """The run that a call is to start."""

    inputs: Mapping[str, Json]
    dedupe_key: str | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Unwanted:
    """Why a call starts nothing."""

    reason: str
    detail: str = ""


class Unmappable(InvalidBody):
    """422: the call is in order, but the webhook's own expressions make nothing of it."""


def apply(webhook: Webhook, scope: Mapping[str, Json]) -> Wanted | Unwanted:
    """What the call is to start, if anything. Raises Unmappable."""
    unwanted = _unwanted(webhook, scope)
    if unwanted is not None:
        return unwanted
    return Wanted(inputs=_inputs(webhook, scope), dedupe_key=_dedupe_key(webhook, scope))


def faults_of(given: Mapping[str, Json]) -> list[Fault]:
    """What is wrong with the expressions of a body, each by its place."""
    found: list[Fault] = []
    for name in ("event_filter", "dedupe"):
        if given.get(name):
            found += _faults_of_expression(f"/{name}", given[name])
    mapping = given.get("input_mapping")
    if mapping is not None:
        found += _faults_of_mapping(mapping)
    return found


def _unwanted(webhook: Webhook, scope: Mapping[str, Json]) -> Unwanted | None:
    """What the filter says. One that reads what this call does not have says no: senders post events of many forms."""
    if not webhook.event_filter:
        return None
    try:
        wanted = truthy(_expression(webhook.event_filter).evaluate(dict(scope)))
    except ExpressionError as error:
        if error.code == "expression_undefined":
            return Unwanted(reason="undefined", detail=error.message)
        raise _unmappable("event_filter", error) from None
    return None if wanted else Unwanted(reason="filtered")


def _inputs(webhook: Webhook, scope: Mapping[str, Json]) -> Mapping[str, Json]:
    """Without a mapping the payload itself; one that is no object as the input `payload`."""
    if webhook.input_mapping is None:
        payload = scope["payload"]
        return payload if isinstance(payload, Mapping) else {"payload": payload}
    template: Template = _template(json.text(webhook.input_mapping))
    try:
        inputs = template.render(dict(scope))
    except ExpressionError as error:
        raise _unmappable("input_mapping", error) from None
    if not isinstance(inputs, Mapping):
        detail = "The input_mapping has to give an object."
        raise Unmappable(detail=detail, faults=[Fault(pointer="/input_mapping", code="not_an_object", detail=detail)])
    return inputs


def _dedupe_key(webhook: Webhook, scope: Mapping[str, Json]) -> str | None:
    """Within this webhook's own keys; an expression that gives nothing is no key."""
    if not webhook.dedupe:
        return None
    value = _evaluate("dedupe", webhook.dedupe, scope)
    if value is None or value == "":
        return None
    text = value if isinstance(value, str) else json.canonical(value).decode()
    if len(text) > _READABLE_KEY_LENGTH:
        text = hashlib.sha256(text.encode()).hexdigest()
    return f"webhook:{webhook.pk}:{text}"


def _evaluate(name: str, text: str, scope: Mapping[str, Json]) -> Json:
    expression: Expression = _expression(text)
    try:
        return expression.evaluate(dict(scope))
    except ExpressionError as error:
        raise _unmappable(name, error) from None


def _unmappable(name: str, error: ExpressionError) -> Unmappable:
    return Unmappable(
        detail=f"{name}: {error.message}", faults=[Fault(pointer=f"/{name}", code=error.code, detail=error.message)]
    )


def _faults_of_expression(pointer: str, text: str) -> list[Fault]:
    try:
        return list(_unknown(pointer, _expression(text).references))
    except ExpressionError as error:
        return [Fault(pointer=pointer, code=error.code, detail=error.message)]


def _faults_of_mapping(mapping: Json) -> list[Fault]:
    found = faults(mapping)
    if found:
        return [fault.under("/input_mapping") for fault in found]
    return list(_unknown("/input_mapping", compile_template(mapping).references))


def _unknown(pointer: str, references: frozenset[Reference]) -> Iterator[Fault]:
    for root in sorted({reference.root for reference in references} - set(NAMES)):
        yield Fault(pointer=pointer, code="unknown_name", detail=f"{root!r} is none of {', '.join(NAMES)}.")
