"""`manage.py bootstrap`: the first project, admin and key of a production set-up."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError

from flowforge.cli.embedded import StartFailed, ensure_access
from workflows.services.gallery import install_gallery


class Command(BaseCommand):
    help = "Make the demo project with the gallery, the user admin and an API key, unless they are there."

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            access = ensure_access()
        except StartFailed as error:
            raise CommandError(str(error)) from None
        install_gallery(project_id=access.project_id)
        self.stdout.write(f"key     {access.api_key}")
        self.stdout.write(f"admin   {access.admin_user} / {access.admin_password}")
