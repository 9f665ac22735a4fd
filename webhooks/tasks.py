"""Celery's side of webhooks: a shell around one call."""

from celery import shared_task

from flowforge.core import bell
from webhooks.deliverer import deliverer


@shared_task(name=bell.DELIVER, ignore_result=True)
def deliver() -> None:
    """There are webhooks to be sent."""
    deliverer.ring()
