"""`manage.py bootstrap`: the first project, admin and key of a production set-up."""

from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from flowforge.cli.embedded import StartFailed, ensure_access
from flowforge.cli.samples import place_samples
from workflows.services.installing import install_gallery


class Command(BaseCommand):
    help = "Make what is missing of the demo project, the gallery and its sample files, the user admin and an API key."

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            access = ensure_access()
        except StartFailed as error:
            raise CommandError(str(error)) from None
        install_gallery(project_id=access.project_id)
        place_samples(settings.FILE_ROOTS)
        self.stdout.write(f"key     {access.api_key}")
        self.stdout.write(f"admin   {access.admin_user} / {access.admin_password}")
