"""The config of an `etl` step: its schema, and what the schema cannot say."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from flowforge.core.errors import Fault
from flowforge.core.pointers import escape
from flowforge.steps.data.failures import DataFailure
from flowforge.steps.data.locations import faults_of_location, parse
from flowforge.steps.data.places import FORMATS, Place, place
from flowforge.steps.etl import transformation
from flowforge.steps.values import holds_expression

MODES: Final = ("append", "replace", "error")
DEFAULT_MODE: Final = "replace"
CSV_OPTIONS: Final = ("delimiter", "header", "quote", "encoding", "null", "types")

_WITHOUT_APPEND: Final = ("http", "https", "asset")
_CHARACTER: Final = {"type": "string", "minLength": 1, "maxLength": 1}
_CSV: Final = {
    "delimiter": {**_CHARACTER, "default": ",", "title": "Delimiter"},
    "header": {
        "type": "boolean",
        "default": True,
        "title": "Header",
        "description": "The first line names the columns.",
    },
    "quote": {**_CHARACTER, "default": '"', "title": "Quote"},
    "null": {"type": "string", "default": "", "title": "Null", "description": "How a missing value is written."},
}
_PLACE: Final = {
    "endpoint": {"type": "string", "minLength": 1, "title": "Endpoint", "description": "Of S3: another server's URL."},
    "region": {"type": "string", "pattern": "^[a-z0-9-]{1,40}$", "title": "Region", "description": "Of S3."},
}
_CREDENTIAL: Final = {"type": "string", "minLength": 1}
SCHEMA: Final[Mapping[str, Any]] = {
    "type": "object",
    "required": ["source_url", "target_url"],
    "additionalProperties": False,
    "properties": {
        "source_url": {"type": "string", "minLength": 1, "title": "Source", "examples": ["s3://bucket/data.json"]},
        "target_url": {
            "type": "string",
            "minLength": 1,
            "title": "Target",
            "examples": ["postgres://db.example.com/sales?table=orders"],
        },
        "format": {"enum": list(FORMATS), "title": "Format", "description": "Of the source; else by its name."},
        "target_format": {
            "enum": list(FORMATS),
            "title": "Target format",
            "description": "Else by the target's name, else the source's.",
        },
        "transformation": transformation.SCHEMA,
        "mode": {"enum": list(MODES), "default": DEFAULT_MODE, "title": "If the target exists"},
        "source_credential": {**_CREDENTIAL, "title": "Credential of the source"},
        "target_credential": {**_CREDENTIAL, "title": "Credential of the target"},
        "source_options": {
            "type": "object",
            "additionalProperties": False,
            "title": "Options of the source",
            "properties": {
                **_CSV,
                **_PLACE,
                "encoding": {"enum": ["utf-8", "latin-1", "utf-16"], "default": "utf-8", "title": "Encoding"},
                "types": {
                    "type": "object",
                    "additionalProperties": {"type": "string"},
                    "title": "Types",
                    "description": "Of columns of a csv whose type is not to be guessed.",
                },
            },
        },
        "target_options": {
            "type": "object",
            "additionalProperties": False,
            "title": "Options of the target",
            "properties": {**_CSV, **_PLACE},
        },
    },
}


def faults(config: Mapping[str, Any]) -> list[Fault]:
    """Of a config as it is written."""
    found = faults_of_location(config, "source_url") + faults_of_location(config, "target_url")
    found += transformation.faults(config.get("transformation", []))
    found += _faults_of_mode(config)
    found += _faults_of_types(config)
    return found + list(_faults_of_format(config))


def end(config: Mapping[str, Any], name: str) -> Place:
    """`source` or `target` of a rendered config. Raises DataFailure."""
    options = config.get(f"{name}_options", {})
    return place(
        config[f"{name}_url"],
        credential=config.get(f"{name}_credential"),
        endpoint=options.get("endpoint"),
        region=options.get("region"),
    )


def csv_options(config: Mapping[str, Any], name: str) -> dict[str, Any]:
    """Of the source or the target, as the child takes them."""
    options = config.get(f"{name}_options", {})
    found = {key: options[key] for key in CSV_OPTIONS if key in options}
    if "types" in found:
        found["types"] = {column: transformation.type_of(written) for column, written in found["types"].items()}
    return found


def _faults_of_mode(config: Mapping[str, Any]) -> Iterator[Fault]:
    url = config.get("target_url")
    if config.get("mode") == "append" and isinstance(url, str) and url.partition(":")[0] in _WITHOUT_APPEND:
        detail = "nothing can be appended there so that a second attempt would not do it twice; use replace"
        yield Fault(pointer="/mode", code="unsupported_mode", detail=detail)


def _faults_of_types(config: Mapping[str, Any]) -> Iterator[Fault]:
    options = config.get("source_options")
    types = options.get("types") if isinstance(options, Mapping) else None
    for column, written in types.items() if isinstance(types, Mapping) else ():
        yield from transformation.type_fault(f"/source_options/types/{escape(column)}", written)


def _faults_of_format(config: Mapping[str, Any]) -> Iterator[Fault]:
    """A file or an object whose name promises nothing."""
    url = config.get("source_url")
    if "format" in config or not isinstance(url, str) or holds_expression(url):
        return
    try:
        location = parse(url)
    except DataFailure:
        return  # it is a fault already
    if location.scheme in ("file", "s3") and place(url).format is None:
        detail = f"the name of the source does not say; give one of {', '.join(FORMATS)}"
        yield Fault(pointer="/format", code="required", detail=detail)
