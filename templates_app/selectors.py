"""Reading step templates."""

import uuid
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from functools import reduce
from operator import or_
from typing import Final

from django.db.models import F, Q

from flowforge.api.caller import Caller
from flowforge.core.errors import Fault, NotFound
from flowforge.projects.scoping import get_visible
from templates_app.models import StepTemplate, StepTemplateVersion

PAIRS: Final = 200  # looked up in one query: SQLite nests conditions no deeper than 1000

Wanted = tuple[str, int | None]  # an id or a name, a version or the newest

READ = "templates:read"


def get_template(caller: Caller, template_id: uuid.UUID | str, scope: str = READ) -> StepTemplate:
    """Raises NotFound (404) where the caller cannot see it, PermissionMissing (403)."""
    return get_visible(StepTemplate.objects.all(), caller, template_id, scope)


def get_version(template_id: uuid.UUID, number: int) -> StepTemplateVersion:
    """With its template. Raises NotFound."""
    versions = StepTemplateVersion.objects.select_related("template")
    found = versions.filter(template_id=template_id, version=number).first()
    if found is None:
        raise NotFound(detail=f"The template has no version {number}.")
    return found


def current_versions(template_ids: Collection[uuid.UUID]) -> Mapping[uuid.UUID, StepTemplateVersion]:
    """Template -> its newest version, in one query."""
    rows = StepTemplateVersion.objects.filter(template_id__in=list(template_ids), version=F("template__version"))
    return {row.template_id: row for row in rows.order_by()}


def names_of(project_id: uuid.UUID) -> Mapping[str, str]:
    """Id -> name, of the templates by whose names new nodes can take them."""
    rows = StepTemplate.objects.filter(project_id=project_id, archived_at=None).order_by()
    return {str(template_id): name for template_id, name in rows.values_list("id", "name")}


@dataclass(frozen=True, kw_only=True)
class Shelf:
    """The templates that a definition names, as far as its project has them."""

    templates: Mapping[str, StepTemplate] = field(default_factory=dict)  # by what names them
    versions: Mapping[tuple[uuid.UUID, int], StepTemplateVersion] = field(default_factory=dict)

    def find(self, text: str, number: int | None) -> tuple[StepTemplate, StepTemplateVersion] | Fault:
        """The template and the version that a node means, or what is wrong with it; pointer into the node."""
        template = self.templates.get(_key(text))
        if template is None:
            detail = f"the project has no template {text[:100]!r}"
            return Fault(pointer="/template_id", code="unknown_template", detail=detail)
        if number is None and template.archived_at is not None:
            detail = f"the template {template.name!r} is archived: new nodes cannot take it"
            return Fault(pointer="/template_id", code="template_archived", detail=detail)
        version = self.versions.get((template.pk, number or template.version))
        if version is None:
            detail = f"the template {template.name!r} has no version {number}; the newest is {template.version}"
            return Fault(pointer="/template_version", code="unknown_version", detail=detail)
        return template, version


def shelf_of(project_id: uuid.UUID, wanted: Iterable[Wanted]) -> Shelf:
    """What a project has of the templates that are named: two queries, none where nothing is named."""
    named = {(_key(text), number) for text, number in wanted}
    if not named:
        return Shelf()
    ids = {key for key, _ in named if _id(key) is not None}
    texts = {key for key, _ in named} - ids
    rows = StepTemplate.objects.filter(project_id=project_id).order_by()
    templates = {}
    for row in rows.filter(Q(pk__in=ids) | Q(name__in=texts, archived_at=None)):
        templates[str(row.pk)] = row
        if row.archived_at is None:
            templates[row.name] = row
    found = {key: templates[key] for key, _ in named if key in templates}
    return Shelf(templates=found, versions=_versions(found, named))


def _versions(
    templates: Mapping[str, StepTemplate], named: Collection[Wanted]
) -> Mapping[tuple[uuid.UUID, int], StepTemplateVersion]:
    pairs = {(templates[key].pk, number or templates[key].version) for key, number in named if key in templates}
    found = {}
    rest = sorted(pairs)
    while rest:
        some, rest = rest[:PAIRS], rest[PAIRS:]
        chosen = reduce(or_, (Q(template_id=template_id, version=number) for template_id, number in some))
        for row in StepTemplateVersion.objects.filter(chosen).order_by():
            found[row.template_id, row.version] = row
    return found


def _key(text: str) -> str:
    """What names a template, in one form: ids may be written in upper case, too."""
    found = _id(text)
    return text if found is None else str(found)


def _id(text: str) -> uuid.UUID | None:
    try:
        return uuid.UUID(text)
    except ValueError:
        return None
