"""Making, changing and archiving projects, and who works in them."""

import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from django.db import transaction

from flowforge.api.caller import Caller
from flowforge.core import clock
from flowforge.core.errors import Fault, InvalidBody, PermissionMissing
from flowforge.core.json import Json
from flowforge.core.pointers import pointer_of
from flowforge.projects import callers, project_settings, selectors
from flowforge.projects.models import ApiKey, Membership, Project

Precondition = Callable[[Project], None]
"""Called under the lock with the project that is about to change; raises to stop (If-Match)."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Seat:
    """A place in a team as it was asked for."""

    user: str  # username or id
    role: str


def create_project(
    *, caller: Caller, name: str, settings: Mapping[str, Json] | None = None, team: Sequence[Seat] = ()
) -> Project:
    """A project of which the caller is an owner, beside those that `team` names.

    An API key makes one only with the scope `admin`, and for the person who made the key: it stays bound to its own
    project and doesn't see the new one. Raises PermissionMissing (403) and InvalidBody (422).
    """
    owner_id = _future_owner(caller)
    _check_settings(settings or {})
    roles = {owner_id: "owner"} | {user: role for user, role in _seats(team).items() if user != owner_id}
    with transaction.atomic():
        project = Project.objects.create(name=name, settings=project_settings.merged({}, settings or {}))
        _write_team(project, roles)
    callers.forget()
    return _as_it_stands(project)


@transaction.atomic
def update_project(
    *,
    caller: Caller,
    project: Project,
    name: str | None = None,
    status: str | None = None,
    settings: Mapping[str, Json] | None = None,
    team: Sequence[Seat] | None = None,
    precondition: Precondition | None = None,
) -> Project:
    """Change what is given: settings name by name (null takes one away), the team as a whole.

    Raises Conflict (409) for an archived project, unless `status` brings it back.
    """
    row = _locked(project, precondition)
    row.status = status or row.status
    if status is None:
        selectors.require_active(row)
    row.name = name or row.name
    if settings is not None:
        _check_settings(settings)
        row.settings = project_settings.merged(row.settings, settings)
    if team is not None:
        _replace_team(caller, row, team)
    row.updated_at = clock.now()
    row.save(update_fields=["name", "status", "settings", "updated_at"])
    callers.forget()
    return _as_it_stands(row)


@transaction.atomic
def archive_project(*, project: Project, precondition: Precondition | None = None) -> None:
    """Close a project: it can be read by its people, not written, and its keys end. Twice changes nothing."""
    _locked(project, precondition)
    Project.objects.filter(pk=project.pk, status=Project.Status.ACTIVE).update(
        status=Project.Status.ARCHIVED, updated_at=clock.now()
    )
    callers.forget()


def _locked(project: Project, precondition: Precondition | None) -> Project:
    """The project's row, which nobody else changes until the transaction ends, its team included."""
    row = Project.objects.select_for_update().get(pk=project.pk)
    if precondition is not None:
        precondition(_as_it_stands(row))
    return row


def _as_it_stands(project: Project) -> Project:
    return selectors.with_team(Project.objects.filter(pk=project.pk)).get()


def _future_owner(caller: Caller) -> uuid.UUID:
    """The person whom a new project belongs to. Raises PermissionMissing (403) when there is none."""
    if caller.user_id is not None:
        return caller.user_id
    if caller.kind == "key" and caller.can_anywhere("admin"):
        creator = ApiKey.objects.values_list("created_by_id", flat=True).get(pk=caller.id)
        if creator is not None:
            return creator
    raise PermissionMissing(detail="Projects are made by people, or by their keys that have the scope admin.")


def _check_settings(settings: Mapping[str, Json]) -> None:
    """A null takes a setting away, so there is nothing in it to be wrong."""
    faults = project_settings.faults_of({name: value for name, value in settings.items() if value is not None})
    if faults:
        raise InvalidBody(faults=faults)


def _replace_team(caller: Caller, project: Project, team: Sequence[Seat]) -> None:
    """Raises PermissionMissing (403) unless the caller administers the project; owners are changed by owners alone."""
    caller.require("admin", project.pk)
    roles = _seats(team)
    if "owner" not in roles.values():
        raise InvalidBody(faults=[Fault(pointer="/team", code="owner_required", detail="An owner must remain.")])
    before = dict(Membership.objects.filter(project=project).values_list("user_id", "role"))
    if _owners(before) != _owners(roles) and before.get(caller.user_id or project.pk) != "owner":
        raise PermissionMissing(detail="Only an owner decides who is one.")
    _write_team(project, roles)


def _owners(roles: Mapping[uuid.UUID, str]) -> set[uuid.UUID]:
    return {user for user, role in roles.items() if role == "owner"}


def _seats(team: Sequence[Seat]) -> dict[uuid.UUID, str]:
    """Roles by person. Raises InvalidBody (422) naming who is unknown or named twice."""
    found, faults = {}, []
    known = selectors.users_by_name_or_id([seat.user for seat in team])
    for index, seat in enumerate(team):
        at, user_id = pointer_of(["team", index, "user"]), known.get(seat.user)
        if user_id is None:
            faults.append(Fault(pointer=at, code="not_found", detail=f"There is no user {seat.user!r}."))
        elif user_id in found:
            faults.append(Fault(pointer=at, code="duplicate", detail="Each person has one role."))
        else:
            found[user_id] = seat.role
    if faults:
        raise InvalidBody(faults=faults)
    return found


def _write_team(project: Project, roles: Mapping[uuid.UUID, str]) -> None:
    Membership.objects.filter(project=project).exclude(user_id__in=roles).delete()
    Membership.objects.bulk_create(
        [Membership(project=project, user_id=user_id, role=role) for user_id, role in roles.items()],
        update_conflicts=True,
        unique_fields=["project", "user"],
        update_fields=["role"],
    )
