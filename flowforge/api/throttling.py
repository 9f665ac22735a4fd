"""Rate limits: which bucket a request counts on, and the headers that tell."""

from typing import TYPE_CHECKING

from rest_framework.request import Request

if TYPE_CHECKING:
    from flowforge.api.views import ApiViewSet


def count(request: Request, view: "ApiViewSet") -> None:
    """Count the request on its bucket. Raises RateLimited (429)."""
