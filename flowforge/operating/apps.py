from django.apps import AppConfig


class OperatingConfig(AppConfig):
    name = "flowforge.operating"
    label = "operating"
    verbose_name = "Operating"
