"""Reading people, projects and keys."""

import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from django.db.models import Case, Prefetch, Q, Value, When

from flowforge.api.caller import Caller
from flowforge.core.errors import Conflict, Fault, InvalidBody
from flowforge.core.json import Json
from flowforge.core.recent import Recent
from flowforge.projects.constants import ROLE_SCOPES, ROLES
from flowforge.projects.models import ApiKey, Membership, Project, ProjectQuerySet, TokenFamily, User
from flowforge.projects.scoping import get_visible
from flowforge.steps.levels import LEVELS

_settings: Recent[Mapping[str, Json]] = Recent(ttl_seconds=1.0)


@dataclass(frozen=True, kw_only=True, slots=True)
class Standing:
    """A caller, the projects that it sees and, for a person, its roles there."""

    caller: Caller
    projects: Sequence[Project]
    roles: Mapping[uuid.UUID, str]


def standing_of(caller: Caller) -> Standing:
    seats = Membership.objects.filter(user_id=caller.user_id) if caller.user_id else Membership.objects.none()
    return Standing(
        caller=caller,
        projects=list(Project.objects.visible_to(caller).order_by("name", "id")),
        roles=dict(seats.values_list("project_id", "role")),
    )


def with_team(queryset: ProjectQuerySet) -> ProjectQuerySet:
    """Projects with all that their representation needs: owners first, then by name."""
    ranks = [When(role=role, then=Value(rank)) for rank, role in enumerate(ROLES)]
    seats = Membership.objects.select_related("user").order_by(Case(*ranks), "user__username")
    return queryset.prefetch_related(Prefetch("memberships", queryset=seats))


def grants_of(user_id: uuid.UUID) -> dict[uuid.UUID, frozenset[str]]:
    """What a person may do: project -> scopes of the membership's role."""
    roles = Membership.objects.filter(user_id=user_id).values_list("project_id", "role")
    return {project_id: ROLE_SCOPES[role] for project_id, role in roles}


def role_of(user_id: uuid.UUID, project_id: uuid.UUID) -> str | None:
    """A person's role in a project at this moment; None: not a member."""
    return Membership.objects.filter(user_id=user_id, project_id=project_id).values_list("role", flat=True).first()


def roles_of(user_id: uuid.UUID) -> dict[uuid.UUID, str]:
    """Project -> a person's role there."""
    return dict(Membership.objects.filter(user_id=user_id).values_list("project_id", "role"))


def rate_limits_of(projects: Iterable[Project]) -> dict[uuid.UUID, Mapping[str, str]]:
    """What projects say of their own rate limits: project -> bucket -> rate, for those that say anything."""
    return {project.pk: limits for project in projects if (limits := project.settings.get("rate_limits"))}


def active_projects_named(text: str) -> Sequence[Project]:
    """The active projects of that id or name, whoever asks: for the command line."""
    return list(Project.objects.filter(Q(pk=_as_uuid(text)) | Q(name=text), status=Project.Status.ACTIVE))


def users_by_name_or_id(wanted: Sequence[str]) -> dict[str, uuid.UUID]:
    """The ids of active people, by the text that named each: an id or a username."""
    ids = {text: key for text in wanted if (key := _as_uuid(text)) is not None}
    found = User.objects.filter(Q(pk__in=ids.values()) | Q(username__in=wanted), is_active=True)
    named = {name: pk for pk, name in found.values_list("pk", "username")}
    known = set(named.values())
    return {text: key for text, key in ids.items() if key in known} | {t: named[t] for t in wanted if t in named}


def settings_of(project_id: uuid.UUID) -> Mapping[str, Json]:
    """A project's settings, at most a second old: what every step asks for must not cost it a query."""
    return _settings.get(
        project_id, lambda: Project.objects.filter(pk=project_id).values_list("settings", flat=True).first() or {}
    )


def live_key(key_hash: str) -> ApiKey | None:
    """The key of that hash, with its project and creator: unless revoked, its project archived or its creator disabled.

    Whether it has expired is for the caller to ask: the answer changes by itself.
    """
    return (
        ApiKey.objects.select_related("project", "created_by")
        .filter(key_hash=key_hash, revoked_at=None, project__status=Project.Status.ACTIVE)
        .exclude(created_by__is_active=False)
        .first()
    )


def live_family(family_id: uuid.UUID) -> TokenFamily | None:
    """A login that has not been ended, with its person: unless that person is disabled."""
    return (
        TokenFamily.objects.select_related("user").filter(pk=family_id, revoked_at=None, user__is_active=True).first()
    )


def resolve_project(
    caller: Caller, given: uuid.UUID | str | None, *, scope: str, pointer: str = "/project_id"
) -> Project:
    """The project that a body means, to write into.

    `given` is what stands at `pointer`, None if nothing does: then a key's own project or a person's only one is
    meant. Raises InvalidBody (422) when the project is unknown or not the caller's, or when none is named and several
    could be meant; PermissionMissing (403) when the scope is missing; Conflict (409) when it is archived.
    """
    project_id = given or caller.sole_project_id
    if project_id is None:
        raise InvalidBody(faults=[Fault(pointer=pointer, code="required", detail="Say which project is meant.")])
    project = _visible_project(caller, project_id)
    if project is None:
        raise InvalidBody(faults=[Fault(pointer=pointer, code="not_found", detail="There is no such project.")])
    caller.require(scope, project.pk)
    require_active(project)
    return project


def project_to_write(
    caller: Caller, in_path: uuid.UUID | None, in_body: uuid.UUID | str | None, *, scope: str
) -> Project:
    """Where something new goes: by the path (404), by the body (422), or the caller's only project.

    Raises as `resolve_project`; InvalidBody (422) where path and body contradict each other.
    """
    if in_path is None:
        return resolve_project(caller, in_body, scope=scope)
    if in_body not in (None, in_path):
        detail = "The path names another project."
        raise InvalidBody(faults=[Fault(pointer="/project_id", code="contradiction", detail=detail)])
    project = get_visible(Project.objects.all(), caller, in_path, scope)
    require_active(project)
    return project


def _visible_project(caller: Caller, project_id: uuid.UUID | str) -> Project | None:
    key = _as_uuid(str(project_id))
    return None if key is None else Project.objects.visible_to(caller).filter(pk=key).first()


def _as_uuid(text: str) -> uuid.UUID | None:
    try:
        return uuid.UUID(text)
    except ValueError:
        return None


def require_active(project: Project) -> None:
    """Raises Conflict (409) for an archived project: it can be read, not written."""
    if project.status != Project.Status.ACTIVE:
        raise Conflict(detail="The project is archived.")


@dataclass(frozen=True, kw_only=True, slots=True)
class WantedIsolation:
    """How a project wants the processes of its steps isolated."""

    minimum: str = LEVELS[0]
    network: bool = True


def wanted_isolation(settings: Mapping[str, object]) -> WantedIsolation:
    """`isolation` of a project's settings: a level, or an object with `minimum` and `network`."""
    wanted = settings.get("isolation")
    if isinstance(wanted, str):
        return WantedIsolation(minimum=wanted)
    if isinstance(wanted, Mapping):
        minimum, network = wanted.get("minimum", LEVELS[0]), wanted.get("network", True)
        return WantedIsolation(minimum=str(minimum), network=network is not False)
    return WantedIsolation()


def allowed_step_types(settings: Mapping[str, object]) -> frozenset[str] | None:
    """The step types that a project's settings allow; None: all but those that start processes."""
    named = settings.get("allowed_step_types")
    return frozenset(named) if isinstance(named, list) else None
