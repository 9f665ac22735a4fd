"""What a trigger makes of what it hears: whether it starts a run, with which inputs, and what counts as the same.

Of webhooks and of event triggers alike. Plain functions of values.
"""

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

_READABLE_KEY_LENGTH: Final = 150  # a longer key is known by its hash

_expression = lru_cache(maxsize=2_000)(compile_expression)
_template = lru_cache(maxsize=500)(lambda text: compile_template(json.loads_trusted(text)))


@dataclass(frozen=True, kw_only=True, slots=True)
class Dialect:
    """How a kind of trigger calls its condition, and what its expressions may read."""

    condition: str  # name of the field
    names: tuple[str, ...]  # `payload` is always among them


@dataclass(frozen=True, kw_only=True, slots=True)
class TriggerRules:
    """The rules of one trigger."""

    dialect: Dialect
    owner: str  # before its dedupe keys: `webhook:<id>`
    condition: str | None
    input_mapping: Json
    dedupe: str | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Wanted:
    """The run that is to be started."""

    inputs: Mapping[str, Json]
    dedupe_key: str | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Unwanted:
    """Why nothing is started."""

    reason: str
    detail: str = ""


class Unmappable(InvalidBody):
    """422: what came is in order, but the trigger's own expressions make nothing of it."""


def apply(rules: TriggerRules, scope: Mapping[str, Json]) -> Wanted | Unwanted:
    """What is to be started, if anything. Raises Unmappable."""
    unwanted = _unwanted(rules, scope)
    if unwanted is not None:
        return unwanted
    return Wanted(inputs=_inputs(rules, scope), dedupe_key=_dedupe_key(rules, scope))


def faults_of(given: Mapping[str, Json], dialect: Dialect) -> list[Fault]:
    """What is wrong with the expressions of a body, each by its place."""
    found: list[Fault] = []
    for name in (dialect.condition, "dedupe"):
        if given.get(name):
            found += _faults_of_expression(f"/{name}", given[name], dialect)
    mapping = given.get("input_mapping")
    if mapping is not None:
        found += _faults_of_mapping(mapping, dialect)
    return found


def _unwanted(rules: TriggerRules, scope: Mapping[str, Json]) -> Unwanted | None:
    """What the condition says. One that reads what is not there says no: what is sent has many forms."""
    if not rules.condition:
        return None
    try:
        wanted = truthy(_expression(rules.condition).evaluate(dict(scope)))
    except ExpressionError as error:
        if error.code == "expression_undefined":
            return Unwanted(reason="undefined", detail=error.message)
        raise _unmappable(rules.dialect.condition, error) from None
    return None if wanted else Unwanted(reason="filtered")


def _inputs(rules: TriggerRules, scope: Mapping[str, Json]) -> Mapping[str, Json]:
    """Without a mapping the payload itself; one that is no object as the input `payload`."""
    if rules.input_mapping is None:
        payload = scope["payload"]
        return payload if isinstance(payload, Mapping) else {"payload": payload}
    template: Template = _template(json.text(rules.input_mapping))
    try:
        inputs = template.render(dict(scope))
    except ExpressionError as error:
        raise _unmappable("input_mapping", error) from None
    if not isinstance(inputs, Mapping):
        detail = "The input_mapping has to give an object."
        raise Unmappable(detail=detail, faults=[Fault(pointer="/input_mapping", code="not_an_object", detail=detail)])
    return inputs


def _dedupe_key(rules: TriggerRules, scope: Mapping[str, Json]) -> str | None:
    """Among this trigger's own keys; an expression that gives nothing is no key."""
    if not rules.dedupe:
        return None
    value = _evaluate("dedupe", rules.dedupe, scope)
    if value is None or value == "":
        return None
    text = value if isinstance(value, str) else json.canonical(value).decode()
    if len(text) > _READABLE_KEY_LENGTH:
        text = hashlib.sha256(text.encode()).hexdigest()
    return f"{rules.owner}:{text}"


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


def _faults_of_expression(pointer: str, text: str, dialect: Dialect) -> list[Fault]:
    try:
        return list(_unknown(pointer, _expression(text).references, dialect))
    except ExpressionError as error:
        return [Fault(pointer=pointer, code=error.code, detail=error.message)]


def _faults_of_mapping(mapping: Json, dialect: Dialect) -> list[Fault]:
    found = faults(mapping)
    if found:
        return [fault.under("/input_mapping") for fault in found]
    return list(_unknown("/input_mapping", compile_template(mapping).references, dialect))


def _unknown(pointer: str, references: frozenset[Reference], dialect: Dialect) -> Iterator[Fault]:
    for root in sorted({reference.root for reference in references} - set(dialect.names)):
        detail = f"{root!r} is none of {', '.join(dialect.names)}."
        yield Fault(pointer=pointer, code="unknown_name", detail=detail)
