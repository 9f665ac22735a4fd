"""Querysets by caller, and the project that a body means."""

import pytest

from flowforge.api.caller import Caller
from flowforge.core.errors import Conflict, InvalidBody, NotFound, PermissionMissing
from flowforge.projects import selectors
from flowforge.projects.models import ApiKey, Project
from flowforge.projects.scoping import ScopedQuerySet, get_visible
from tests import factories

UNKNOWN = "01890a5d-0000-7000-8000-000000000000"  # fixed: parallel workers must collect the same tests


def caller_with(*grants: tuple[Project, str]) -> Caller:
    return Caller(kind="user", id="u", name="u", grants={project.pk: frozenset([scope]) for project, scope in grants})


def test_it_works(project, other_project):
    mine, _ = factories.make_api_key(project=project)
    theirs, _ = factories.make_api_key(project=other_project)
    caller = caller_with((project, "keys:write"))
    assert list(ApiKey.objects.visible_to(caller)) == [mine]
    assert list(Project.objects.visible_to(caller)) == [project]
    assert get_visible(ApiKey.objects.all(), caller, str(mine.pk), "keys:write") == mine
    with pytest.raises(NotFound):
        get_visible(ApiKey.objects.all(), caller, theirs.pk)


@pytest.mark.parametrize("pk", ["", "1", "nonsense", "\x00", "0" * 33, UNKNOWN])
def test_it_rejects_what_names_nothing(project, pk):
    with pytest.raises(NotFound):
        get_visible(Project.objects.all(), caller_with((project, "admin")), pk)


def test_it_rejects_a_visible_row_without_the_scope(project):
    key, _ = factories.make_api_key(project=project)
    with pytest.raises(PermissionMissing):
        get_visible(ApiKey.objects.all(), caller_with((project, "runs:read")), key.pk, "keys:write")


def test_a_scope_narrows_to_the_projects_that_grant_it(project, other_project):
    caller = caller_with((project, "runs:read"), (other_project, "admin"))
    assert set(Project.objects.visible_to(caller)) == {project, other_project}
    assert set(Project.objects.visible_to(caller, "keys:write")) == {other_project}
    assert set(Project.objects.visible_to(caller, "runs:read")) == {project, other_project}


def test_a_caller_without_projects_sees_nothing(project):
    assert not Project.objects.visible_to(caller_with()).exists()


def test_a_path_leads_to_the_project_through_other_rows(project):
    class ByMembership(ScopedQuerySet):
        project_path = "project__id"

    seat = factories.make_user(project=project).memberships.get()
    rows = ByMembership(model=type(seat))
    assert list(rows.visible_to(caller_with((project, "admin")))) == [seat]
    assert rows.project_of(seat) == project.pk


# --- the project of a body ----------------------------------------------------------------------------------------


def test_the_only_project_is_meant_when_none_is_named(project):
    assert selectors.resolve_project(caller_with((project, "runs:write")), None, scope="runs:write") == project


def test_a_named_project_is_meant_among_several(project, other_project):
    caller = caller_with((project, "runs:write"), (other_project, "runs:write"))
    assert selectors.resolve_project(caller, str(other_project.pk), scope="runs:write") == other_project
    assert selectors.resolve_project(caller, project.pk, scope="runs:write") == project


@pytest.mark.parametrize("given", ["nonsense", UNKNOWN, "foreign"])
def test_it_rejects_a_project_that_the_caller_cannot_see(project, other_project, given):
    named = str(other_project.pk) if given == "foreign" else given
    with pytest.raises(InvalidBody) as refused:
        selectors.resolve_project(caller_with((project, "admin")), named, scope="runs:write", pointer="/where")
    assert [(fault.pointer, fault.code) for fault in refused.value.faults] == [("/where", "not_found")]


def test_it_rejects_to_choose_among_several(project, other_project):
    with pytest.raises(InvalidBody) as refused:
        selectors.resolve_project(caller_with((project, "admin"), (other_project, "admin")), None, scope="runs:write")
    assert [(fault.pointer, fault.code) for fault in refused.value.faults] == [("/project_id", "required")]


def test_it_rejects_a_missing_scope_before_it_tells_of_an_archive(project):
    project.status = "archived"
    project.save(update_fields=["status"])
    with pytest.raises(PermissionMissing):
        selectors.resolve_project(caller_with((project, "runs:read")), None, scope="runs:write")
    with pytest.raises(Conflict):
        selectors.resolve_project(caller_with((project, "runs:write")), None, scope="runs:write")


def test_step_types_that_a_project_allows():
    assert selectors.allowed_step_types({}) is None
    assert selectors.allowed_step_types({"allowed_step_types": []}) == frozenset()
    assert selectors.allowed_step_types({"allowed_step_types": ["http", "python"]}) == {"http", "python"}
