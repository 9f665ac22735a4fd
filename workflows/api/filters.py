"""Filters of the listing of workflows."""

from typing import Any

from django.db.models import CharField, F, QuerySet, Value
from django_filters import CharFilter, FilterSet, IsoDateTimeFilter, UUIDFilter

from flowforge.core.errors import InvalidQuery
from workflows.constants import STATUSES
from workflows.lookups import HasItem

Rows = QuerySet[Any, Any]


class WorkflowFilters(FilterSet):
    """`status, project_id, name (contains), tag, updated_after`."""

    status = CharFilter(method="by_status", help_text="active, paused or archived; upper case is accepted.")
    project_id = UUIDFilter(field_name="project_id")
    name = CharFilter(field_name="name", lookup_expr="icontains", help_text="Contained, in any case.")
    tag = CharFilter(method="by_tag", help_text="One of its tags, exactly.")
    updated_after = IsoDateTimeFilter(field_name="updated_at", lookup_expr="gt")

    def by_status(self, queryset: Rows, _name: str, value: str) -> Rows:
        if value.lower() not in STATUSES:
            raise InvalidQuery(detail=f"status is one of {', '.join(STATUSES)}.")
        return queryset.filter(status=value.lower())

    def by_tag(self, queryset: Rows, _name: str, value: str) -> Rows:
        return queryset.filter(HasItem(F("tags"), Value(value, output_field=CharField())))
