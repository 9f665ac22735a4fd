"""Routes, relative to `/v1/`."""

from django.urls import path

from webhooks.api.ingest import IngestViewSet
from webhooks.api.outbound_views import DeliveryViewSet, SubscriptionViewSet
from webhooks.api.views import CallViewSet, WebhookViewSet

WEBHOOK = "webhooks/<uuid:webhook_id>"
SUBSCRIPTION = "subscriptions/<uuid:subscription_id>"

urlpatterns = [
    path("webhooks", WebhookViewSet.as_view({"get": "list", "post": "create"})),
    path(
        WEBHOOK,
        WebhookViewSet.as_view({"get": "retrieve", "patch": "partial_update", "delete": "destroy"}),
    ),
    path(f"{WEBHOOK}:rotate_secret", WebhookViewSet.as_view({"post": "rotate_secret"})),
    path(f"{WEBHOOK}/ingest", IngestViewSet.as_view({"post": "ingest"})),
    path(f"{WEBHOOK}/deliveries", CallViewSet.as_view({"get": "list"})),
    path(
        f"{WEBHOOK}/deliveries:replay",
        CallViewSet.as_view({"post": "replay_many"}),
    ),
    path(f"{WEBHOOK}/deliveries/<uuid:call_id>:replay", CallViewSet.as_view({"post": "replay"})),
    path("subscriptions", SubscriptionViewSet.as_view({"get": "list", "post": "create"})),
    path(
        SUBSCRIPTION,
        SubscriptionViewSet.as_view({"get": "retrieve", "patch": "partial_update", "delete": "destroy"}),
    ),
    path(f"{SUBSCRIPTION}:test", SubscriptionViewSet.as_view({"post": "test"})),
    path(f"{SUBSCRIPTION}:rotate_secret", SubscriptionViewSet.as_view({"post": "rotate_secret"})),
    path(f"{SUBSCRIPTION}:redeliver", SubscriptionViewSet.as_view({"post": "redeliver"})),
    path(f"{SUBSCRIPTION}/deliveries", SubscriptionViewSet.as_view({"get": "deliveries"})),
    path("deliveries/<uuid:delivery_id>", DeliveryViewSet.as_view({"get": "retrieve"})),
    path("deliveries/<uuid:delivery_id>:redeliver", DeliveryViewSet.as_view({"post": "redeliver"})),
]
