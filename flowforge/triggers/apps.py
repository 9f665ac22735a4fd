from django.apps import AppConfig


class TriggersConfig(AppConfig):
    name = "flowforge.triggers"
    label = "triggers"
    verbose_name = "Event triggers"
