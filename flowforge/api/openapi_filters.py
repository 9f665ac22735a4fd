"""The query parameters of a FilterSet, as OpenAPI tells them."""

from typing import Any, Final

import django_filters as filters

from flowforge.api.openapi_components import parameter

_FORMATS: Final[tuple[tuple[type[filters.Filter], dict[str, Any]], ...]] = (  # the first that fits
    (filters.UUIDFilter, {"type": "string", "format": "uuid"}),
    (filters.IsoDateTimeFilter, {"type": "string", "format": "date-time"}),
    (filters.DateTimeFilter, {"type": "string", "format": "date-time"}),
    (filters.DateFilter, {"type": "string", "format": "date"}),
    (filters.BooleanFilter, {"type": "boolean"}),
    (filters.NumberFilter, {"type": "number"}),
)


def filter_parameters(filterset_class: type[filters.FilterSet]) -> list[dict[str, Any]]:
    """One parameter for each filter; its `help_text` or `label` is the description."""
    return [
        parameter(name, _schema(found), str(found.extra.get("help_text") or found.extra.get("label") or ""))
        for name, found in filterset_class.base_filters.items()
    ]


def _schema(found: filters.Filter) -> dict[str, Any]:
    if isinstance(found, filters.ChoiceFilter) and isinstance(found.extra.get("choices"), (list, tuple)):
        return {"type": "string", "enum": [value for value, _ in found.extra["choices"]]}
    return next((dict(schema) for kind, schema in _FORMATS if isinstance(found, kind)), {"type": "string"})
