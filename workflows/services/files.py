"""A workflow as a file: what `export` writes and `import` reads. Pure.

A file holds one entry, a list of entries, or `{"definitions": [entry, …]}`; an entry is `name`, `description`, `tags`,
`status` and the definition in any of the forms of `forms.py`.
"""

import json as stdlib_json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final

from flowforge.core.errors import Fault, InvalidBody
from flowforge.core.json import Json
from workflows.constants import (
    DEFINITION_FIELDS,
    MAX_DESCRIPTION_LENGTH,
    MAX_IMPORTED,
    MAX_NAME_LENGTH,
    MAX_TAG_LENGTH,
    MAX_TAGS,
    STATUSES,
)
from workflows.models import WorkflowVersion
from workflows.services import yaml_text

# databases keep objects in orders of their own: files put what people look for first, the rest by name
_FIRST: Final = (
    *("id", "name", "description", "tags", "status", "definition"),
    *("source", "target", "on", "when", "type", "config", "template_id", "template_version", "join"),
    *("retry", "timeout", "priority", "queue", "on_error", "cache", "position"),
)
_RANK: Final = {name: rank for rank, name in enumerate(_FIRST)}
_DEFINITION_RANK: Final = {
    name: rank for rank, name in enumerate(("config", "input_schema", "nodes", "edges", "output"))
}

_TRIMMED: Final = r"^\S([\s\S]*\S)?$"  # as the API's own fields are
_TAG: Final = {"type": "string", "pattern": _TRIMMED, "maxLength": MAX_TAG_LENGTH}
ENTRY_SCHEMA: Final[dict[str, Any]] = {
    "type": "object",
    "required": ["name"],
    "additionalProperties": False,
    "properties": {
        "name": {"type": "string", "pattern": _TRIMMED, "maxLength": MAX_NAME_LENGTH},
        "description": {"type": "string", "maxLength": MAX_DESCRIPTION_LENGTH},
        "tags": {"type": "array", "maxItems": MAX_TAGS, "items": _TAG},
        "status": {"enum": [*STATUSES, *(status.upper() for status in STATUSES)]},
        "definition": {"type": "object"},
        "tasks": {"type": "array"},
        **{name: {} for name in DEFINITION_FIELDS},
    },
}


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One workflow of a file, as it was written."""

    pointer: str  # its place in the file
    body: Json


def exported(version: WorkflowVersion, template_names: Mapping[str, str] = MappingProxyType({})) -> dict[str, Json]:
    """The entry of a workflow, its keys in a fixed order: the same workflow gives the same file.

    `template_names`: id -> name; a template that is found there is written by its name.
    """
    workflow = version.workflow
    definition = {
        name: version.definition[name] for name in _DEFINITION_RANK if version.definition.get(name) not in (None, {})
    }
    if "nodes" in definition:
        definition["nodes"] = [_by_name(node, template_names) for node in definition["nodes"]]
    return {
        "name": workflow.name,
        "description": workflow.description,
        "tags": workflow.tags,
        "status": workflow.status,
        "definition": {name: _ordered_part(name, part) for name, part in definition.items()},
    }


def _by_name(node: Mapping[str, Json], template_names: Mapping[str, str]) -> Mapping[str, Json]:
    name = template_names.get(str(node.get("template_id")))
    return node if name is None else {**node, "template_id": name}


def to_text(entry: Mapping[str, Json], file_format: str) -> str:
    """An entry as `yaml` or `json` text, for people to read and keep under version control."""
    if file_format == "yaml":
        return yaml_text.dump(dict(entry))
    return stdlib_json.dumps(entry, indent=2, ensure_ascii=False) + "\n"


def file_name(name: str, file_format: str) -> str:
    """`daily-import.yaml`: plain ASCII, safe in a header and on any disk."""
    slug = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:80]
    return f"{slug or 'workflow'}.{file_format}"


def entries(content: Json) -> list[Entry]:
    """The entries of a file's content. Raises InvalidBody (422) for another shape, or too many of them."""
    match content:
        case {"definitions": list() as rows, **others}:
            unknown = [
                Fault(pointer=f"/{name}", code="unknown_field", detail="There is no such field.") for name in others
            ]
            if unknown:
                raise InvalidBody(faults=unknown)
            found = _numbered(rows, "/definitions")
        case list():
            found = _numbered(content, "")
        case {"name": _}:
            found = [Entry(pointer="", body=content)]
        case _:
            raise InvalidBody(faults=[_fault("", "type", "Neither a workflow nor a list of `definitions`.")])
    if len(found) > MAX_IMPORTED:
        raise InvalidBody(faults=[_fault("", "too_many", f"More than {MAX_IMPORTED} definitions in one file.")])
    return found


def _numbered(rows: Sequence[Json], prefix: str) -> list[Entry]:
    return [Entry(pointer=f"{prefix}/{index}", body=row) for index, row in enumerate(rows)]


def _ordered_part(name: str, part: Json) -> Json:
    """Nodes and edges begin with what names them; everything within is in order of its keys."""
    if name in ("nodes", "edges"):
        return [{key: _sorted(row[key]) for key in sorted(row, key=_rank)} for row in part]
    return _sorted(part)


def _rank(key: str) -> tuple[int, str]:
    return _RANK.get(key, len(_RANK)), key


def _sorted(value: Json) -> Json:
    if isinstance(value, Mapping):
        return {key: _sorted(value[key]) for key in sorted(value)}
    if isinstance(value, list):
        return [_sorted(item) for item in value]
    return value


def _fault(pointer: str, code: str, detail: str) -> Fault:
    return Fault(pointer=pointer, code=code, detail=detail)
