"""`manage.py create_user NAME --project P --role R [--password …]`: prints the password once."""

import secrets
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand

from flowforge.projects.constants import ROLES
from flowforge.projects.management.naming import explained, project_named
from flowforge.projects.services import people


class Command(BaseCommand):
    help = "Make a person who is a member of a project."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("name", help="the username")
        parser.add_argument("--project", required=True, help="name or id of the project")
        parser.add_argument("--role", required=True, choices=ROLES)
        parser.add_argument("--password", help="a random one is made and printed without it")

    def handle(self, *args: Any, **options: Any) -> None:
        project = project_named(options["project"])
        password = options["password"] or secrets.token_urlsafe(15)
        with explained():
            people.create_user(username=options["name"], password=password, project=project, role=options["role"])
        self.stdout.write(f"{options['name']} is {options['role']} of {project.name}.")
        if options["password"] is None:
            self.stdout.write(f"password: {password}")
