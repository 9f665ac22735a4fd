"""The Celery application. It carries hints alone: docs/engine.md."""

import os

from celery import Celery
from kombu import transport

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "flowforge.settings")

transport.TRANSPORT_ALIASES["inproc"] = "flowforge.core.inproc:Transport"

app = Celery("flowforge")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks(["flowforge.engine"])
app.set_default()
