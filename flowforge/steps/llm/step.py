"""The step type: its config, and how a conversation begins."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, ClassVar, Final

from flowforge.core import json
from flowforge.core.egress import EgressError, checked_url, host_and_port
from flowforge.core.errors import Fault
from flowforge.core.json import Json
from flowforge.core.jsonschema import SchemaError, compile_schema
from flowforge.kernel.expressions import ExpressionError
from flowforge.steps.assets import NotAvailable
from flowforge.steps.base import (
    BaseStep,
    Context,
    CredentialRefused,
    Failed,
    Kind,
    Outcome,
    StepCancelled,
)
from flowforge.steps.llm import structured
from flowforge.steps.llm.anthropic import Anthropic
from flowforge.steps.llm.ask import Line
from flowforge.steps.llm.conversation import DEFAULT_SECONDS, Conversation
from flowforge.steps.llm.exchange import Message, Provider, Question, ReplyFailed
from flowforge.steps.llm.openai import OpenAI
from flowforge.steps.llm.toolbox import Toolbox
from flowforge.steps.prompts import PromptFaults, fill
from flowforge.steps.values import holds_expression

DEFAULT_MAX_TOKENS: Final = 4096
MAX_TOOLS: Final = 32

_PROVIDERS: Final[Mapping[str, Provider]] = {
    "openai": OpenAI(),
    "anthropic": Anthropic(),
    "openai_compatible": OpenAI(compatible=True),
}
_OF_ASSETS: Final = ("prompt_asset_version", "prompt_variables")
_PROMPTS: Final = ("messages", "prompt", "prompt_asset_id")
_MESSAGE: Final = {
    "type": "object",
    "required": ["role", "content"],
    "additionalProperties": False,
    "properties": {"role": {"enum": ["system", "user", "assistant"]}, "content": {"type": "string", "minLength": 1}},
}
_TOOL: Final = {
    "type": "object",
    "additionalProperties": False,
    "oneOf": [{"required": ["workflow_id"]}, {"required": ["name"]}],
    "properties": {
        "workflow_id": {"type": "string", "minLength": 1},
        "name": {"type": "string", "minLength": 1, "description": "Of a workflow, in place of its id."},
        "description": {"type": "string", "maxLength": 2000, "description": "When to call it, for the model."},
    },
}
_COUNT: Final = {"type": ["integer", "null"]}


class Llm(BaseStep):
    """Its output is what the model answers, which is nobody's word but the model's: data, and never a template."""

    name: ClassVar[str] = "llm"
    title: ClassVar[str] = "Language model"
    description: ClassVar[str] = "Asks a language model, which may call workflows that the step names."
    kind: ClassVar[Kind] = "effect"
    default_timeout_seconds: ClassVar[float | None] = DEFAULT_SECONDS
    credential_members: ClassVar[frozenset[str]] = frozenset({"credential"})
    asset_members: ClassVar[Mapping[str, str]] = MappingProxyType({"prompt_asset_id": "prompt"})
    target_member: ClassVar[str | None] = "base_url"
    config_schema: ClassVar[Mapping[str, Any]] = {
        "type": "object",
        "required": ["provider", "model"],
        "additionalProperties": False,
        "properties": {
            "provider": {"enum": list(_PROVIDERS), "title": "Provider"},
            "base_url": {
                "type": "string",
                "minLength": 1,
                "title": "Base URL",
                "description": "Where the provider is, with its version; needed for openai_compatible.",
                "examples": ["http://llm.internal:8080/v1"],
            },
            "credential": {
                "type": "string",
                "minLength": 1,
                "title": "Credential",
                "description": "The name of one of the project's that holds the provider's key; a local server may "
                "need none.",
            },
            "model": {"type": "string", "minLength": 1, "maxLength": 200, "title": "Model"},
            "messages": {"type": "array", "minItems": 1, "maxItems": 1000, "items": _MESSAGE, "title": "Messages"},
            "prompt": {"type": "string", "minLength": 1, "title": "Prompt", "description": "One message of the user."},
            "prompt_asset_id": {
                "type": "string",
                "minLength": 1,
                "title": "Prompt asset",
                "description": "The id of a prompt of the project: one message of the user.",
            },
            "prompt_asset_version": {
                "type": "integer",
                "minimum": 1,
                "title": "Version of the prompt",
                "description": "The newest by default.",
            },
            "prompt_variables": {
                "type": "object",
                "title": "Variables of the prompt",
                "description": "By name: all that the prompt reads, and no others.",
            },
            "output_schema": {
                "type": ["object", "boolean"],
                "title": "Output schema",
                "description": "JSON Schema of the answer; the model is told once what does not fit.",
            },
            "temperature": {"type": "number", "minimum": 0, "maximum": 2, "title": "Temperature"},
            "max_tokens": {
                "type": "integer",
                "minimum": 1,
                "maximum": 1_000_000,
                "default": DEFAULT_MAX_TOKENS,
                "title": "Tokens at most",
                "description": "Of each reply.",
            },
            "tools": {
                "type": "array",
                "maxItems": MAX_TOOLS,
                "items": _TOOL,
                "title": "Tools",
                "description": "Workflows of the same project that the model may call, and no others.",
            },
        },
    }
    output_schema: ClassVar[Mapping[str, Any]] = {
        "type": "object",
        "required": ["text", "json", "usage", "cost"],
        "properties": {
            "text": {"type": "string"},
            "json": {"description": "The answer, where there is an output_schema."},
            "usage": {
                "type": "object",
                "required": ["input_tokens", "output_tokens", "requests", "tool_calls"],
                "properties": {
                    "input_tokens": _COUNT,
                    "output_tokens": _COUNT,
                    "requests": {"type": "integer"},
                    "tool_calls": {"type": "integer"},
                },
            },
            "cost": {"type": ["number", "null"], "description": "By the operator's prices; null: not known."},
        },
    }

    def check(self, config: Mapping[str, Any]) -> list[Fault]:
        faults: list[Fault] = []
        given = [name for name in _PROMPTS if name in config]
        if len(given) != 1:
            pointer = f"/{given[1]}" if given else ""
            faults.append(Fault(pointer=pointer, code="one_of", detail=f"give one of {', '.join(_PROMPTS)}"))
        if "prompt_asset_id" not in config:
            detail = "goes with prompt_asset_id"
            faults += [
                Fault(pointer=f"/{name}", code="needless", detail=detail) for name in _OF_ASSETS if name in config
            ]
        if config["provider"] == "openai_compatible" and "base_url" not in config:
            faults.append(Fault(pointer="/base_url", code="required", detail="is required of openai_compatible"))
        return faults + _faults_of_url(config.get("base_url")) + _faults_of_schema(config.get("output_schema"))

    def run(self, context: Context) -> Outcome:
        if context.cancel.is_set:
            raise StepCancelled(context.cancel.reason)
        faults = self.check(context.config)
        if faults:
            return Failed(code="invalid_config", message=faults[0].detail, retryable=False)
        try:
            toolbox = Toolbox.of(context, context.config.get("tools", ()))
            question = _question(context, toolbox)
            line = _line(context)
        except ReplyFailed as error:
            return error.failed
        except CredentialRefused as refused:
            return refused.failed()
        except EgressError as error:
            return Failed(code=error.code, message=str(error), retryable=error.retryable)
        except NotAvailable as error:
            return Failed(code="not_available", message=str(error), retryable=error.retryable)
        except PromptFaults as error:
            details: Mapping[str, Json] = {"errors": [fault.as_dict() for fault in error.faults]}
            return Failed(code="prompt_variables", message=str(error), retryable=False, details=details)
        except ExpressionError as error:
            return Failed(code=error.code, message=error.message, retryable=False)
        return Conversation(context, line, question, toolbox).go()


def _line(context: Context) -> Line:
    """Raises CredentialRefused, EgressError."""
    provider = _PROVIDERS[context.config["provider"]]
    base_url = context.config.get("base_url", provider.default_url)
    return Line(
        provider=provider,
        base_url=base_url,
        key=_key(context, host_and_port(checked_url(base_url))),
        allow=tuple(context.settings.allow_private_targets),
        cancel=context.cancel,
        log=context.log,
        traceparent=context.traceparent,
    )


def _key(context: Context, host: str) -> str:
    """The provider's key; "" where the config names none. Raises CredentialRefused."""
    context.credentials.check(host)  # what expressions have read goes there, too
    name = context.config.get("credential")
    if name is None:
        return ""
    credential = context.credential(name, host)
    found = credential.data.get({"token": "token", "header": "value"}.get(credential.type, ""))
    if found is None:
        message = f"A provider's key is a credential of the type token: {name!r} is of the type {credential.type}."
        raise CredentialRefused("credential_type", message)
    return str(found)


def _question(context: Context, toolbox: Toolbox) -> Question:
    """Raises NotAvailable, PromptFaults, ExpressionError."""
    config = context.config
    return Question(
        model=config["model"],
        messages=_messages(context),
        max_tokens=config.get("max_tokens", DEFAULT_MAX_TOKENS),
        temperature=config.get("temperature"),
        output_schema=config.get("output_schema"),
        tools=toolbox.specs(),
    )


def _messages(context: Context) -> list[Message]:
    config = context.config
    messages: list[Message] = list(config.get("messages", ())) or [{"role": "user", "content": _prompt(context)}]
    if "output_schema" in config:
        messages.append({"role": "user", "content": structured.instruction(config["output_schema"])})
    return messages


def _prompt(context: Context) -> str:
    config = context.config
    if "prompt_asset_id" not in config:
        return str(config["prompt"])
    text = context.assets.prompt(config["prompt_asset_id"], config.get("prompt_asset_version"))
    return fill(text, config.get("prompt_variables", {}))


def _faults_of_url(url: Json) -> list[Fault]:
    if url is None or holds_expression(url):
        return []
    try:
        checked_url(url)
    except EgressError as error:
        return [Fault(pointer="/base_url", code="invalid_url", detail=str(error))]
    return []


def _faults_of_schema(schema: Json) -> list[Fault]:
    """A schema with expressions is looked at when they are rendered."""
    if schema is None or isinstance(schema, str) or holds_expression(json.text(schema)):
        return []
    try:
        compile_schema(schema)
    except SchemaError as error:
        return [Fault(pointer=f"/output_schema{error.pointer}", code=error.code, detail=str(error))]
    return []
