from django.apps import AppConfig


class ApiConfig(AppConfig):
    name = "flowforge.api"
    label = "api"
    verbose_name = "API kit"
