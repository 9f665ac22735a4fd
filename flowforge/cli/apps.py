from django.apps import AppConfig
from django.conf import settings

from flowforge.core import failpoints


class CliConfig(AppConfig):
    name = "flowforge.cli"
    label = "cli"
    verbose_name = "Command line"

    def ready(self) -> None:
        """The composition root arms what the environment asks for; a text that can't be read stops the start."""
        failpoints.configure(settings.FAILPOINTS)
