from django.apps import AppConfig


class AlertsConfig(AppConfig):
    name = "flowforge.alerts"
    label = "alerts"
    verbose_name = "Alerts"
