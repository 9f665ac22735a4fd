"""`manage.py create_api_key --project P --name N --scopes a,b [--expires 30d]`: prints the key once."""

from argparse import ArgumentParser
from datetime import timedelta
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from flowforge.core import clock
from flowforge.kernel import durations
from flowforge.projects.management.naming import explained, project_named
from flowforge.projects.services import keys


class Command(BaseCommand):
    help = "Make an API key of a project. It belongs to no person: nobody's departure ends it."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--project", required=True, help="name or id of the project")
        parser.add_argument("--name", required=True, help="what the key is for")
        parser.add_argument("--scopes", required=True, help="comma-separated, such as runs:read,runs:write; or admin")
        parser.add_argument("--expires", help="a duration from now, such as 30d; never without it")

    def handle(self, *args: Any, **options: Any) -> None:
        project = project_named(options["project"])
        scopes = [scope.strip() for scope in options["scopes"].split(",")]
        with explained():
            keys.check_scopes(scopes)
        lifetime = _lifetime(options["expires"])
        key, text = keys.insert_key(
            project=project,
            name=options["name"],
            scopes=scopes,
            expires_at=None if lifetime is None else clock.now() + lifetime,
        )
        self.stdout.write(f"{key.name} may {', '.join(key.scopes)} in {project.name}.")
        self.stdout.write(f"key: {text}")


def _lifetime(text: str | None) -> timedelta | None:
    if text is None:
        return None
    try:
        lifetime = timedelta(seconds=durations.parse(text))
    except ValueError as error:
        raise CommandError(f"--expires: {error}") from error
    if not lifetime:
        raise CommandError("--expires: a key has to live for a while")
    return lifetime
