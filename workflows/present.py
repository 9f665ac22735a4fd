"""Workflows as clients see them (docs/api.md, section 4), and the tags of their states."""

import uuid
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any, Final

from flowforge.api.http import names_edited, tag_in_two
from flowforge.core.json import Json
from flowforge.operating import present as operating
from flowforge.operating.models import Hold
from workflows.constants import DEFINITION_FIELDS, EMPTY_DEFINITION
from workflows.models import WorkflowVersion
from workflows.selectors import LIST_FIELDS
from workflows.services.gallery import Item

LastRun = tuple[uuid.UUID, str]

_OF_RUNS: Final = ("last_run_id", "last_run_status", "freeze")


def workflow(
    row: Mapping[str, Any], last_run: LastRun | None, parts: Mapping[str, Json], hold: Hold | None
) -> dict[str, Json]:
    """A workflow from a row with LIST_FIELDS; `parts`: what of its definition is shown; `hold`: what freezes it."""
    run_id, run_status = last_run or (None, None)
    return {
        **row,
        **parts,
        "last_run_id": run_id,
        "last_run_status": run_status,
        "freeze": operating.freeze(hold),
    }


def whole(version: WorkflowVersion, last_run: LastRun | None, hold: Hold | None) -> dict[str, Json]:
    """A workflow from its current version, with its definition."""
    row = {name: getattr(version.workflow, name) for name in LIST_FIELDS}
    return workflow(row, last_run, {name: version.definition.get(name) for name in DEFINITION_FIELDS}, hold)


def version_row(row: Mapping[str, Any], workflow_id: uuid.UUID, current: int) -> dict[str, Json]:
    """A version as a list shows it."""
    return {
        "id": row["id"],
        "workflow_id": workflow_id,
        "version": row["version"],
        "current": row["version"] == current,
        "definition_hash": row["definition_hash"],
        "created_by": row["created_by_id"],
        "created_at": row["created_at"],
    }


def template_use(row: Mapping[str, Any], newest: int) -> dict[str, Json]:
    """A workflow that uses a template, from a row with USE_FIELDS."""
    return {
        "workflow_id": row["version__workflow_id"],
        "workflow_name": row["version__workflow__name"],
        "workflow_status": row["version__workflow__status"],
        "workflow_version": row["version__version"],
        "template_version": row["template_version"],
        "outdated": row["template_version"] < newest,
        "nodes": row["node_ids"],
    }


def gallery_row(one: Item) -> dict[str, Json]:
    """A workflow of the gallery as a list shows it."""
    return {
        "slug": one.slug,
        "title": one.title,
        "description": one.description,
        "tags": list(one.tags),
        "step_types": list(one.step_types),
        "needs": [asdict(need) for need in one.needs],
        "installs": list(one.installs),
    }


def gallery_item(one: Item, mermaid: str) -> dict[str, Json]:
    """The same with all that there is of it."""
    definition = {name: one.definition.get(name, EMPTY_DEFINITION[name]) for name in DEFINITION_FIELDS}
    return {
        **gallery_row(one),
        "example": one.example,
        "triggers": one.triggers,
        "mermaid": mermaid,
        "definition": definition,
    }


def tag_of(shown: Mapping[str, Json]) -> str:
    """A strong entity tag of what people edit and what runs and freezes change."""
    return tag_in_two(_edited(shown), [shown[name] for name in _OF_RUNS])


def names_state(if_match: str, shown: Mapping[str, Json]) -> bool:
    """If-Match: does it name the state that an edit would change? Runs and freezes in between don't count."""
    return names_edited(if_match, _edited(shown))


def _edited(shown: Mapping[str, Json]) -> dict[str, Json]:
    return {name: value for name, value in shown.items() if name not in _OF_RUNS}
