"""Is it well?"""

from dataclasses import asdict

from django.http import HttpResponse
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request

from flowforge.api.permissions import ANY_CALLER
from flowforge.api.views import ApiViewSet
from flowforge.insights import health
from flowforge.insights.api import docs


class MonitoringViewSet(ApiViewSet):
    """`/v1/monitoring/…`."""

    scopes = {"health": ANY_CALLER}

    @extend_schema(**docs.HEALTH)
    def health(self, request: Request) -> HttpResponse:
        """Look how the server is.

        Every part is looked at now, within two seconds each: the database, the broker, the workers (alive, not stuck,
        every queue with ready steps served), the scheduler (someone looks for runs whose moment has come), the disk.
        The answer is 200 whatever is found; orchestrators ask `/livez` and `/readyz`, without credentials.
        """
        found = health.health()
        components = [asdict(component) for component in found.components]
        isolation = {"level": found.isolation, "levels": found.levels}
        return self.ok({"status": found.status, "components": components, "isolation": isolation})
