"""`manage.py bootstrap`: the first project, admin and key of a production set-up."""

from typing import Any

from django.core.management.base import BaseCommand

from flowforge.cli.embedded import ensure_access
from workflows.services.gallery import install_gallery


class Command(BaseCommand):
    help = "Make the demo project with the gallery, the user admin and an API key, unless they are there."

    def handle(self, *args: Any, **options: Any) -> None:
        access = ensure_access()
        install_gallery(project_id=access.project_id)
        self.stdout.write(f"key     {access.api_key}")
        self.stdout.write(f"admin   {access.admin_user} / {access.admin_password}")
