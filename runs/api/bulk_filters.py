"""The filter of `runs:bulk`: the members of an object are the filters of the listing."""

import uuid
from collections.abc import Mapping
from typing import Any, Final

from django.db.models import QuerySet
from django.http import QueryDict

from flowforge.api.caller import Caller
from flowforge.api.faults import pointer
from flowforge.core import json
from flowforge.core.errors import Fault, InvalidBody, InvalidQuery
from flowforge.core.json import Json
from flowforge.projects.models import Project
from runs.api.filters import FILTERS, filtered, metadata_names
from runs.models import Run
from workflows.models import Workflow

ALL: Final = "all"
_OWNED: Final[Mapping[str, Any]] = {"workflow_id": Workflow, "project_id": Project}


def chosen_runs(caller: Caller, given: Mapping[str, Json], scope: str) -> QuerySet[Run]:
    """The runs that a filter means, of those that the caller has `scope` for.

    Raises InvalidBody (422) with every fault: an empty filter without `{"all": true}`, an unknown member, a value
    that cannot be meant, an id that the caller can't see.
    """
    if not given:
        detail = 'Say which runs are meant; {"all": true} means every one.'
        raise InvalidBody(faults=[Fault(pointer="/filter", code="required", detail=detail)])
    if given.get(ALL) is True and len(given) == 1:
        return Run.objects.visible_to(caller, scope)
    faults = [*_unknown(given), *_unseen(caller, given, scope)]
    runs: Any = Run.objects.visible_to(caller, scope)
    for name, value in given.items():
        try:
            runs = filtered(runs, _query(name, value))
        except InvalidQuery as error:
            faults.append(Fault(pointer=pointer("filter", name), code="invalid", detail=error.detail))
    if faults:
        raise InvalidBody(faults=faults)
    chosen: QuerySet[Run] = runs
    return chosen


def _query(name: str, value: Json) -> QueryDict:
    """A member as the listing's query string has it. Raises InvalidQuery."""
    query = QueryDict(mutable=True)
    query.setlist(name, [_text(name, each) for each in value] if isinstance(value, list) else [_text(name, value)])
    return query


def _text(name: str, value: Json) -> str:
    """`true` and `3` as a query string spells them, which has texts alone."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool | int | float):
        return json.text(value)
    raise InvalidQuery(detail=f"{name} is a text, a number or a boolean.")


def _unknown(given: Mapping[str, Json]) -> list[Fault]:
    known = {*FILTERS, *metadata_names(given)}
    return [
        Fault(pointer=pointer("filter", name), code="unknown_field", detail="There is no such filter.")
        for name in given
        if name not in known
    ]


def _unseen(caller: Caller, given: Mapping[str, Json], scope: str) -> list[Fault]:
    """Raises PermissionMissing (403) for a project that the caller sees without `scope`."""
    faults = []
    for name, model in _OWNED.items():
        wanted = _as_id(given.get(name))
        if wanted is None:
            continue
        row = model.objects.visible_to(caller).filter(pk=wanted).first()
        if row is None:
            faults.append(Fault(pointer=pointer("filter", name), code="not_found", detail="There is no such id."))
        else:
            caller.require(scope, model.objects.all().project_of(row))
    return faults


def _as_id(value: Json) -> uuid.UUID | None:
    """None for what is no id, which the filter itself refuses."""
    try:
        return uuid.UUID(value) if isinstance(value, str) else None
    except ValueError:
        return None
