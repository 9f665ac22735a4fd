"""The Celery application. It carries hints alone: docs/engine.md."""

import os

from celery import Celery
from kombu import transport

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "flowforge.settings")

transport.TRANSPORT_ALIASES["inproc"] = "flowforge.core.inproc:Transport"


def create_app(name: str, *, default: bool = False) -> Celery:
    """An application on the project's broker. Each worker pool of a process has its own: Celery keeps the queues
    that a worker consumes in its application."""
    created = Celery(name, set_as_current=default)
    created.config_from_object("django.conf:settings", namespace="CELERY")
    created.autodiscover_tasks(["flowforge.engine", "flowforge.schedules", "webhooks"])
    return created


app = create_app("flowforge", default=True)
app.set_default()
