"""The base of views that start or steer runs: during maintenance they refuse, and reading goes on."""

from typing import Any

from rest_framework.permissions import SAFE_METHODS
from rest_framework.request import Request

from flowforge.api.views import ApiViewSet
from flowforge.operating.selectors import require_engine


class SteeringViews(ApiViewSet):
    """Whatever is posted here is for the engine: 503 with `Retry-After` while it is paused."""

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        super().initial(request, *args, **kwargs)
        if request.method not in SAFE_METHODS:
            require_engine()
