from django.apps import AppConfig


class CliConfig(AppConfig):
    name = "flowforge.cli"
    label = "cli"
    verbose_name = "Command line"
