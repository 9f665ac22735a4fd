"""What modules named `docs` say of operations: arguments of drf-spectacular's `extend_schema`."""

from typing import Any, Final

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiExample, OpenApiParameter

Operation = dict[str, Any]

AT: Final = "2026-01-01T12:00:00.123456Z"  # a moment for examples


def asked(value: Any) -> OpenApiExample:
    """An example of a request's body."""
    return OpenApiExample("Request", value=value, request_only=True, media_type="application/json")


def given(value: Any, status: str = "200", name: str = "Answer") -> OpenApiExample:
    """An example of an answer's `data`; of a list, the value of one item."""
    return OpenApiExample(name, value=value, response_only=True, status_codes=[status])


def query(name: str, description: str, kind: Any = OpenApiTypes.STR, **more: Any) -> OpenApiParameter:
    """A parameter of the query, not required."""
    return OpenApiParameter(name, kind, description=description, required=False, **more)
