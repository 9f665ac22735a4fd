"""Admins of rows that people only read."""

from typing import Any

from django.http import HttpRequest

from flowforge.staff.commands import CommandedAdmin


class ReadOnlyAdmin(CommandedAdmin):
    """Nothing is added, edited or deleted here: commands alone do something."""

    def has_add_permission(self, request: HttpRequest, *args: Any) -> bool:  # noqa: ARG002  Django's signature
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:  # noqa: ARG002  Django's signature
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:  # noqa: ARG002  Django's signature
        return False
