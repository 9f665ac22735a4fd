"""Query parameters: each is known, or the answer is 400. A filter that is silently ignored shows too much."""

from collections.abc import Collection
from typing import TYPE_CHECKING, Any

from django.db.models import QuerySet
from django.http import HttpRequest
from django_filters import FilterSet
from rest_framework.filters import BaseFilterBackend
from rest_framework.request import Request

from flowforge.core.errors import InvalidQuery

if TYPE_CHECKING:
    from flowforge.api.views import ApiViewSet

RESERVED = frozenset(("limit", "cursor", "page", "expand", "include", "format"))


def check_query(request: HttpRequest | Request, known: Collection[str], repeatable: Collection[str] = ()) -> None:
    """Raises InvalidQuery that names the first parameter which is neither `known` nor reserved, or is given twice
    without being `repeatable`."""
    for name, values in request.GET.lists():
        if name not in RESERVED and name not in known:
            raise InvalidQuery(detail=f"There is no query parameter {name!r} here.")
        if len(values) > 1 and name not in repeatable:
            raise InvalidQuery(detail=f"The query parameter {name!r} is given more than once.")
        if any("\x00" in value for value in values):
            raise InvalidQuery(detail=f"The query parameter {name!r} holds a NUL.")


def filtered(
    filterset_class: type[FilterSet], request: HttpRequest | Request, queryset: QuerySet[Any, Any]
) -> QuerySet[Any, Any]:
    """The queryset with the request's filters applied. Raises InvalidQuery on values of the wrong type."""
    filterset = filterset_class(data=request.GET, queryset=queryset)
    if not filterset.is_valid():
        name, faults = next(iter(filterset.errors.items()))
        raise InvalidQuery(detail=f"{name}: {faults[0]}")
    found: QuerySet[Any, Any] = filterset.qs
    return found


class StrictFilterBackend(BaseFilterBackend):
    """Applies the view's `filterset_class` to what `filter_queryset` is given."""

    def filter_queryset(
        self,
        request: Request,
        queryset: QuerySet[Any, Any],
        view: "ApiViewSet",  # type: ignore[override]
    ) -> QuerySet[Any, Any]:
        if view.filterset_class is None:
            return queryset
        return filtered(view.filterset_class, request, queryset)
