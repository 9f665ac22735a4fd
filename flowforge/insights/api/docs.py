"""What the OpenAPI document says of monitoring."""

from typing import Any, Final

from drf_spectacular.utils import OpenApiExample
from rest_framework import serializers

from flowforge.insights.components import STATUSES
from flowforge.steps.levels import LEVELS

NAMES: Final = ("Database", "Broker", "Workers", "Scheduler", "Storage")


class ComponentShown(serializers.Serializer[Any]):
    name = serializers.ChoiceField(choices=NAMES)
    status = serializers.ChoiceField(choices=STATUSES)
    latency = serializers.FloatField(help_text="Milliseconds that the look took; 2,000 at most.")
    detail = serializers.CharField(help_text="For people.")


class IsolationShown(serializers.Serializer[Any]):
    level = serializers.ChoiceField(
        choices=LEVELS, allow_null=True, help_text="The weakest of a live worker; null: there is none."
    )
    levels = serializers.DictField(child=serializers.IntegerField(), help_text="Live workers by level.")


class HealthShown(serializers.Serializer[Any]):
    status = serializers.ChoiceField(choices=STATUSES, help_text="The worst of its components.")
    components = ComponentShown(many=True)
    isolation = IsolationShown()


HEALTH: Final[dict[str, Any]] = {
    "operation_id": "monitoring_health",
    "responses": HealthShown,
    "examples": [
        OpenApiExample(
            "All is well",
            value={
                "status": "HEALTHY",
                "components": [
                    {"name": "Database", "status": "HEALTHY", "latency": 0.4, "detail": "It answers."},
                    {
                        "name": "Workers",
                        "status": "HEALTHY",
                        "latency": 1.2,
                        "detail": "Workers: 2. Queues with slots: control (8), default (32), process (8).",
                    },
                ],
                "isolation": {"level": "bubblewrap", "levels": {"bubblewrap": 2}},
            },
            response_only=True,
        )
    ],
}
