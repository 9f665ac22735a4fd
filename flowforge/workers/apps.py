from django.apps import AppConfig


class WorkersConfig(AppConfig):
    name = "flowforge.workers"
    label = "workers"
    verbose_name = "Workers"
