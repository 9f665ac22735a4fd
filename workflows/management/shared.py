"""What the commands of this app share: which project is meant, who acts, reading files, printing faults."""

import uuid
from collections.abc import Iterable
from pathlib import Path

from django.core.management.base import CommandError

from flowforge.api.caller import Caller
from flowforge.core.errors import Fault, FlowForgeError
from flowforge.core.json import JsonError
from flowforge.projects.models import Project
from workflows.services import yaml_text
from workflows.services.files import Entry, entries

SYSTEM = Caller(kind="system", id="command", name="command line", grants={})


def find_project(text: str | None) -> Project:
    """By id or name; without either, the only one there is. Raises CommandError."""
    active = Project.objects.filter(status=Project.Status.ACTIVE)
    found = list((active if text is None else active.filter(**_key(text)))[:2])
    if len(found) != 1:
        wanted = f"called {text!r}" if text else "to choose by itself: give --project"
        raise CommandError(f"There is {'more than one' if found else 'no'} active project {wanted}.")
    return found[0]


def read_file(path: Path) -> list[Entry]:
    """The entries of a YAML file, or of a JSON one, which is YAML too. Raises CommandError."""
    try:
        return entries(yaml_text.load(path.read_bytes()))
    except OSError as error:
        raise CommandError(f"{path} cannot be read: {error.strerror}") from error
    except JsonError as error:
        raise CommandError(f"{path}: {error}") from error
    except FlowForgeError as error:
        raise CommandError(told(path, error.faults)) from error


def told(path: Path, faults: Iterable[Fault]) -> str:
    """A line per fault."""
    return "\n".join(f"{path} {fault.pointer or '/'}: {fault.detail} [{fault.code}]" for fault in faults)


def _key(text: str) -> dict[str, object]:
    try:
        return {"pk": uuid.UUID(text)}
    except ValueError:
        return {"name": text}
