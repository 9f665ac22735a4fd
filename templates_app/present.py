"""Step templates as clients see them (docs/templates.md)."""

from flowforge.core.clock import isoformat
from flowforge.core.json import Json
from templates_app.constants import CONTENT_FIELDS
from templates_app.models import StepTemplate, StepTemplateVersion


def template(row: StepTemplate, current: StepTemplateVersion) -> dict[str, Json]:
    """A template with the content of its newest version."""
    return {
        "id": str(row.pk),
        "project_id": str(row.project_id),
        "name": row.name,
        "description": row.description,
        **{name: getattr(current, name) for name in CONTENT_FIELDS},
        "version": row.version,
        "archived": row.archived_at is not None,
        "created_at": isoformat(row.created_at),
        "updated_at": isoformat(row.updated_at),
    }


def version(row: StepTemplateVersion, newest: int) -> dict[str, Json]:
    """A version with its content."""
    return {
        "id": str(row.pk),
        "template_id": str(row.template_id),
        "version": row.version,
        "current": row.version == newest,
        **{name: getattr(row, name) for name in CONTENT_FIELDS},
        "created_by": None if row.created_by_id is None else str(row.created_by_id),
        "created_at": isoformat(row.created_at),
    }


def rendered(row: StepTemplateVersion, config: Json, parameters: Json) -> dict[str, Json]:
    """The node that a version gives."""
    return {
        "type": row.step_type,
        "config": config,
        "retry": row.retry,
        "timeout": row.timeout,
        "template_id": str(row.template_id),
        "template_version": row.version,
        "parameters": parameters,
    }
