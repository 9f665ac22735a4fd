"""`manage.py rotate_secrets`: seals everything anew with the newest of FLOWFORGE_SECRET_KEYS."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError

from flowforge.cli.resealing import reseal


class Command(BaseCommand):
    help = "Seal what is encrypted at rest anew with the newest secret key, so that older ones can be removed."

    def handle(self, *args: Any, **options: Any) -> None:
        unreadable = 0
        for found in reseal():
            self.stdout.write(f"{found.place}: {found.resealed} sealed anew, {found.current} were")
            unreadable += found.unreadable
            if found.unreadable:
                self.stderr.write(f"{found.place}: no key opens {found.unreadable}")
        if unreadable:
            raise CommandError("Some values could not be opened: keep the older keys, or replace those values.")
