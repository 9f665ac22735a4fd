"""`approval`: a person decides."""

from collections.abc import Mapping
from typing import Any, ClassVar, Final, Literal

from flowforge.core import json
from flowforge.core.errors import Fault
from flowforge.core.json import Json
from flowforge.core.jsonschema import SchemaError, compile_schema
from flowforge.steps.base import BaseStep, Completed, Context, Failed, Kind, Outcome, Waiting
from flowforge.steps.bounds import bounded, deadline
from flowforge.steps.values import faults_of_duration, holds_expression

Decision = Literal["approved", "rejected", "expired"]

WAITS_FOR: Final = "approval"
FOUR_EYES: Final = "four_eyes"  # is among what it asks for, or is not: whoever started the run may not decide
DECISIONS: Final[tuple[Decision, ...]] = ("approved", "rejected", "expired")
_ON_TIMEOUT: Final[Mapping[str, Decision]] = {"approve": "approved", "reject": "rejected", "fail": "expired"}
_REFUSED: Final[Mapping[Decision, Failed]] = {
    "rejected": Failed(code="approval_rejected", message="The approval was rejected.", retryable=False),
    "expired": Failed(code="approval_expired", message="Nobody decided in time.", retryable=False),
}


class Approval(BaseStep):
    """The branch label is the decision: `approved`, `rejected` or `expired`."""

    name: ClassVar[str] = "approval"
    title: ClassVar[str] = "Approval"
    description: ClassVar[str] = "Waits until a person approves or rejects."
    kind: ClassVar[Kind] = "pure"  # it only says what it waits for
    config_schema: ClassVar[Mapping[str, Any]] = {
        "type": "object",
        "additionalProperties": False,
        "properties": {
            "title": {"type": "string", "title": "Title", "maxLength": 500},
            "instructions": {"type": "string", "title": "Instructions", "description": "What to look at."},
            "form": {
                "type": "object",
                "title": "Form",
                "description": "JSON Schema of what whoever decides has to fill in.",
            },
            "assignees": {
                "type": "array",
                "items": {"type": "string", "minLength": 1},
                "maxItems": 100,
                "title": "Assignees",
                "description": "Names of people or roles of the project, who alone may decide; empty: everybody.",
            },
            "four_eyes": {
                "type": "boolean",
                "default": False,
                "title": "Four eyes",
                "description": "Whoever started the run may not decide.",
            },
            "timeout": {"type": ["string", "number"], "title": "Timeout", "examples": ["24h"]},
            "on_timeout": {"enum": list(_ON_TIMEOUT), "default": "fail", "title": "On timeout"},
        },
    }
    output_schema: ClassVar[Mapping[str, Any]] = {
        "type": "object",
        "required": ["decision", "by", "data"],
        "properties": {
            "decision": {"enum": list(DECISIONS)},
            "by": {"type": ["string", "null"], "description": "Who decided; null: the timeout."},
            "data": {"description": "What was filled in."},
        },
    }

    def check(self, config: Mapping[str, Any]) -> list[Fault]:
        return faults_of_duration(config, "timeout") + _faults_of_form(config.get("form"))

    def branches(self, config: Mapping[str, Any]) -> frozenset[str] | None:  # noqa: ARG002  always these
        return frozenset(DECISIONS)

    def run(self, context: Context) -> Outcome:
        config = context.config
        try:
            until = deadline(context)
            compile_schema(config.get("form", {}))
        except ValueError as error:  # a SchemaError is one
            return Failed(code="invalid_config", message=str(error), retryable=False)
        asks = {name: config[name] for name in ("title", "instructions", "form", "assignees") if name in config}
        if config.get("four_eyes"):
            asks[FOUR_EYES] = True
        then = decided(_ON_TIMEOUT[config.get("on_timeout", "fail")], by=None, data={})
        return bounded(Waiting(until=until, then=then, waits_for=WAITS_FOR, asks=asks), context)


def decided(decision: Decision, *, by: str | None, data: Json) -> Completed:
    """The outcome of a decision; a refusal that no edge takes is a failure."""
    output = {"decision": decision, "by": by, "data": data}
    return Completed(output=output, branch=decision, otherwise=_REFUSED.get(decision))


def _faults_of_form(form: Json) -> list[Fault]:
    """A form with expressions is looked at when they are rendered."""
    if not isinstance(form, Mapping) or holds_expression(json.text(form)):
        return []
    try:
        compile_schema(form)
    except SchemaError as error:
        return [Fault(pointer=f"/form{error.pointer}", code=error.code, detail=str(error))]
    return []
