"""Every route against every kind of caller, by the table of `tests/contract/matrix.py`."""

import datetime as dt
import re

import pytest

from flowforge.api.documents import generate
from flowforge.core import clock
from flowforge.projects import callers
from flowforge.projects.constants import SCOPES
from flowforge.projects.models import Membership, Project, User
from tests import factories
from tests.contract.matrix import (
    CLOSED,
    NAMES_PROJECT,
    OPERATIONS,
    PUBLIC,
    SCOPED,
    SIGNED,
    WITH_IDS,
    call,
    make_place,
    served,
    snapshot,
)
from tests.support.api import ApiClient

READS = {
    "projects:read",
    "workflows:read",
    "runs:read",
    "schedules:read",
    "webhooks:read",
    "credentials:read",
    "alerts:read",
    "templates:read",
    "assets:read",
}
EDITS = {
    "runs:write",
    "workflows:write",
    "schedules:write",
    "webhooks:write",
    "credentials:write",
    "alerts:write",
    "templates:write",
    "assets:write",
}
ROLES = {  # of the scopes that the table names
    "viewer": READS - {"credentials:read"},
    "operator": READS | {"runs:write"},
    "editor": READS | EDITS,
    "admin": READS | EDITS | {"projects:write", "keys:write"},
    "owner": READS | EDITS | {"projects:write", "keys:write"},
}


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def log_in(user: User) -> dict[str, str]:
    login = {"username": user.username, "password": factories.PASSWORD}
    return ApiClient().post("/v1/auth/token", login).expect(200).data


# --- the table ----------------------------------------------------------------------------------------------------


def shape(path: str) -> str:
    return re.sub(r"[{<][^}>]+[}>]", "{}", path)


def test_it_works():
    """A route that isn't in the table is one that nobody has thought about; and the other way round."""
    assert {f"{method} {shape(route)}" for method, route in served()} == {shape(name) for name in OPERATIONS}


def test_the_document_tells_what_the_table_tells():
    told = {
        f"{method.upper()} {shape(path)}": operation["security"]
        for path, operations in generate("flowforge.urls")["paths"].items()
        for method, operation in operations.items()
    }
    for name, operation in OPERATIONS.items():
        needed = [{"bearer": roles(name)}, {"apiKey": roles(name)}]
        if operation.scope == PUBLIC:
            needed = [{}]
        if operation.scope == SIGNED:
            needed = [{"apiKey": ["runs:write"]}, {}]
        assert told[shape(name)] == needed, name


def roles(name: str) -> list[str]:
    return [OPERATIONS[name].scope] if OPERATIONS[name].scope else []


# --- credentials --------------------------------------------------------------------------------------------------


@pytest.fixture
def bad_credentials(project, other_project, monkeypatch) -> dict[str, dict[str, str]]:
    """Headers that used to be good, almost are, or never were."""
    past = clock.now() - dt.timedelta(seconds=1)
    _, expired = factories.make_api_key(project=project, expires_at=past)
    _, revoked = factories.make_api_key(project=project, revoked_at=past)
    disabled, left = (factories.make_user(project=project, role="owner") for _ in range(2))
    _, orphaned = factories.make_api_key(project=project, created_by=disabled)
    archived = factories.make_project(status=Project.Status.ARCHIVED)
    _, closed = factories.make_api_key(project=archived)
    with monkeypatch.context() as patch:
        patch.setattr("rest_framework_simplejwt.tokens.aware_utcnow", lambda: clock.now() - dt.timedelta(hours=1))
        stale = log_in(left)["access"]
    dead, gone = log_in(disabled)["access"], log_in(left)
    ApiClient().post("/v1/auth/token/revoke", {"refresh": gone["refresh"]}).expect(204)
    User.objects.filter(pk=disabled.pk).update(is_active=False)
    callers.forget_now()
    _, good = factories.make_api_key(project=project)
    _, another = factories.make_api_key(project=other_project)
    head, body, signature = gone["access"].split(".")
    return {
        "none": {},
        "empty": {"X-API-KEY": ""},
        "garbage key": {"X-API-KEY": "ffk_garbage-garbage-garbage"},
        "garbage token": bearer("nothing"),
        "other scheme": {"Authorization": "Basic YWRtaW46YWRtaW4="},
        "expired key": {"X-API-KEY": expired},
        "revoked key": bearer(revoked),
        "key of a disabled person": {"X-API-KEY": orphaned},
        "key of an archived project": {"X-API-KEY": closed},
        "key with a tail": {"X-API-KEY": good + "x"},
        "two keys": {"X-API-KEY": good, **bearer(another)},
        "expired token": bearer(stale),
        "token of a disabled person": bearer(dead),
        "token of an ended login": bearer(gone["access"]),
        "refresh token": bearer(gone["refresh"]),
        "unsigned token": bearer(f"{head}.{body}."),
        "token with another head": bearer(f"eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0.{body}.{signature}"),
    }


@pytest.mark.parametrize("name", CLOSED)
def test_it_rejects_bad_credentials(place, bad_credentials, name):
    before = snapshot(place.ids["project"])
    for kind, headers in bad_credentials.items():
        answer = call(ApiClient(headers), place, name)
        assert (answer.status, answer.code) in ((401, "not_authenticated"), (401, "invalid_credentials")), (
            kind,
            answer,
        )
        assert answer.headers["WWW-Authenticate"].startswith("Bearer"), kind
    assert snapshot(place.ids["project"]) == before


@pytest.mark.parametrize("name", sorted(name for name in OPERATIONS if OPERATIONS[name].scope == PUBLIC))
def test_public_operations_ask_for_nothing(place, name):
    answer = call(ApiClient(), place, name)
    assert answer.status == 200 or answer.json["detail"] in (
        "The username or the password is wrong.",
        "The token is invalid, revoked or has expired.",
    )


@pytest.mark.parametrize(
    "suffix", ["/", "/health", "/docs", "/schema", ";x", "%2e", "//", "/..", "/../docs", "%2fdocs"]
)
def test_it_rejects_paths_that_end_like_public_ones(place, suffix):
    for name in CLOSED:
        method, path = place.call(name)
        for disguised in (path + suffix, "/v1/docs/.." + path, path.replace("/v1/", "/v1//")):
            answer = ApiClient().request(method, disguised, place.body(name))
            assert answer.status in (401, 404, 405), (disguised, answer)


@pytest.mark.parametrize("name", CLOSED)
def test_it_rejects_methods_in_disguise(place, name):
    method, path = place.call(name)
    overrides = dict.fromkeys(("X-HTTP-Method-Override", "X-Method-Override", "X-HTTP-Method"), "OPTIONS")
    assert ApiClient(overrides).request(method, path, place.body(name)).status == 401


# --- scopes and roles ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", SCOPED)
def test_it_rejects_a_key_that_has_every_scope_but_the_one(place, client_with, name):
    others = [scope for scope in SCOPES if scope not in (OPERATIONS[name].scope, "admin")]
    before = snapshot(place.ids["project"])[3:]  # the key itself is new
    assert call(client_with(*others), place, name).expect(403).code == "permission_missing"
    assert snapshot(place.ids["project"])[3:] == before


@pytest.mark.parametrize("name", sorted(name for name in SCOPED if not OPERATIONS[name].refused))
def test_the_one_scope_is_enough(place, client_with, bell, name):
    operation = OPERATIONS[name]
    client = client_with(operation.scope, *filter(None, [operation.also]))
    assert call(client, place, name).status in (200, 201, 202, 204, 409)


@pytest.mark.parametrize("name", sorted(name for name, operation in CLOSED.items() if operation.refused))
def test_it_rejects_a_key_that_would_give_away_more_than_it_has(place, client_with, name):
    before = snapshot(place.ids["project"])[1]
    assert call(client_with(OPERATIONS[name].scope or "runs:read"), place, name).status == 403
    assert len(snapshot(place.ids["project"])[1]) == len(before) + 1  # the caller's own


@pytest.mark.parametrize("role", ROLES)
def test_each_role_may_do_what_its_scopes_say(project, client_as, bell, role):
    person = client_as(role)
    for name in SCOPED:
        answer = call(person, make_place(project), name)
        assert (answer.status != 403) is (OPERATIONS[name].scope in ROLES[role]), (name, answer)
        assert answer.status < 400 or answer.status in (403, 409), (name, answer)
        Project.objects.filter(pk=project.pk).update(status=Project.Status.ACTIVE)


@pytest.mark.parametrize("name", SCOPED)
def test_it_rejects_a_right_that_is_held_elsewhere_alone(place, other_project, client_as, name):
    """An owner there and a viewer here: the right that counts is the one in the project that is meant."""
    person = factories.make_user(project=other_project, role="owner")
    Membership.objects.create(project_id=place.ids["project"], user=person, role="viewer")
    client = ApiClient(bearer(log_in(person)["access"]))
    if OPERATIONS[name].scope in ROLES["viewer"] or (name not in WITH_IDS and name not in NAMES_PROJECT):
        return
    body = dict(place.body(name) or {}, **({"project_id": place.ids["project"]} if name in NAMES_PROJECT else {}))
    before = snapshot(place.ids["project"])
    assert call(client, place, name, body).expect(403).code == "permission_missing"
    assert snapshot(place.ids["project"]) == before
