"""What the commands share: finding a project by what people call it, and errors as people read them."""

from collections.abc import Iterator
from contextlib import contextmanager

from django.core.management.base import CommandError

from flowforge.core.errors import FlowForgeError
from flowforge.projects import selectors
from flowforge.projects.models import Project


def project_named(text: str) -> Project:
    """The active project of that id or name. Raises CommandError when there is none, or several of the name."""
    found = selectors.active_projects_named(text)
    if len(found) != 1:
        raise CommandError(f"There is no active project {text!r}." if not found else f"Several projects are {text!r}.")
    return found[0]


@contextmanager
def explained() -> Iterator[None]:
    """Turn our errors into CommandError: each fault with its place, no traceback."""
    try:
        yield
    except FlowForgeError as error:
        faults = "; ".join(f"{fault.pointer.lstrip('/')}: {fault.detail}" for fault in error.faults)
        raise CommandError(faults or str(error)) from error
