from django.apps import AppConfig


class EngineConfig(AppConfig):
    name = "flowforge.engine"
    label = "engine"
    verbose_name = "Engine"
