"""The first start, and those after it."""

import pytest

from flowforge.projects import authentication, callers
from flowforge.projects.constants import SCOPES
from flowforge.projects.models import ApiKey, Membership, Project, User
from flowforge.projects.services import keys, people
from flowforge.projects.services.bootstrap import ensure_bootstrap

pytestmark = pytest.mark.django_db

CHOSEN = "a key that I chose myself"


def test_it_works():
    made = ensure_bootstrap(admin_password=None, api_key=None)
    assert (made.project.name, made.admin_user.username) == ("Demo", "admin")
    assert made.admin_user.is_superuser
    assert {"generic", "python", "http", "delay"} <= set(made.project.settings["allowed_step_types"])
    assert people.log_in(username="admin", password=made.admin_password_if_new)
    caller = authentication.caller_of(made.api_key_if_new)
    assert caller.grants == {made.project.pk: frozenset(SCOPES)}
    assert Membership.objects.get().role == "owner"


def test_a_second_start_changes_nothing():
    first = ensure_bootstrap(admin_password=None, api_key=None)
    Project.objects.update(name="Renamed")
    again = ensure_bootstrap(admin_password="another", api_key=None)
    assert again.project == first.project
    assert (again.admin_password_if_new, again.api_key_if_new) == (None, None)
    assert (User.objects.count(), Project.objects.count(), ApiKey.objects.count()) == (1, 1, 1)
    assert people.log_in(username="admin", password=first.admin_password_if_new)


def test_given_secrets_are_used():
    made = ensure_bootstrap(admin_password="pw", api_key=f"  {CHOSEN}\n")
    assert (made.admin_password_if_new, made.api_key_if_new) == ("pw", CHOSEN)
    assert people.log_in(username="admin", password="pw")
    assert authentication.caller_of(CHOSEN).can("admin", made.project.pk)


def test_a_key_given_on_a_later_start_works_beside_the_first():
    first = ensure_bootstrap(admin_password=None, api_key=None).api_key_if_new
    with pytest.raises(authentication.InvalidCredentials):
        authentication.caller_of(CHOSEN)
    assert ensure_bootstrap(admin_password=None, api_key=CHOSEN).api_key_if_new == CHOSEN
    assert ensure_bootstrap(admin_password=None, api_key=CHOSEN).api_key_if_new is None
    assert authentication.caller_of(CHOSEN).grants == authentication.caller_of(first).grants
    assert ApiKey.objects.count() == 2


@pytest.mark.parametrize("given", ["fifteen letters", "x" * 257, "ffk_" + "A" * 49])
def test_it_rejects_what_can_be_no_key_and_makes_nothing(given):
    with pytest.raises(ValueError, match="API key"):
        ensure_bootstrap(admin_password=None, api_key=given)
    assert not User.objects.exists()


def test_it_rejects_to_raise_a_revoked_key_from_the_dead():
    ensure_bootstrap(admin_password=None, api_key=CHOSEN)
    keys.revoke_key(key=ApiKey.objects.get())
    with pytest.raises(ValueError, match="revoked"):
        ensure_bootstrap(admin_password=None, api_key=CHOSEN)
    callers.forget_now()
    with pytest.raises(authentication.InvalidCredentials):
        authentication.caller_of(CHOSEN)
