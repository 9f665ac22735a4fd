"""People, projects and keys in the admin."""

import pytest
from django.test import Client
from django.urls import reverse

from flowforge.projects.models import ApiKey, Membership, TokenFamily
from tests import factories

PAGES = ("user", "project", "apikey", "tokenfamily")


@pytest.fixture
def browser(db) -> Client:
    client = Client()
    client.force_login(factories.make_user(is_staff=True, is_superuser=True))
    return client


@pytest.fixture
def rows(person, project, log_in):
    key, _ = factories.make_api_key(project=project)
    log_in(person)
    return {"user": person, "project": project, "apikey": key, "tokenfamily": TokenFamily.objects.get()}


@pytest.mark.parametrize("page", PAGES)
def test_it_works(browser, rows, page):
    listed = browser.get(reverse(f"admin:projects_{page}_changelist"), {"q": "a"} if page == "user" else {})
    assert listed.status_code == 200
    shown = browser.get(reverse(f"admin:projects_{page}_change", args=[rows[page].pk]))
    assert shown.status_code == 200
    assert rows["apikey"].key_hash not in shown.content.decode()


@pytest.mark.parametrize("page", PAGES)
def test_it_rejects_whoever_is_not_staff(rows, page, person):
    client = Client()
    client.force_login(person)
    assert client.get(reverse(f"admin:projects_{page}_changelist")).status_code == 302


@pytest.mark.parametrize(("page", "verb"), [("apikey", "add"), ("tokenfamily", "add")])
def test_it_rejects_to_make_what_is_shown_once(browser, page, verb):
    assert browser.get(reverse(f"admin:projects_{page}_{verb}")).status_code == 403


@pytest.mark.parametrize("page", PAGES)
def test_it_rejects_deletion(browser, rows, page):
    assert browser.post(reverse(f"admin:projects_{page}_delete", args=[rows[page].pk])).status_code == 403


def act(browser: Client, page: str, action: str, row) -> None:
    command = {"action": action, "_selected_action": [str(row.pk)], "confirmed": "yes"}
    answer = browser.post(reverse(f"admin:projects_{page}_changelist"), command)
    assert answer.status_code == 302


def test_keys_are_revoked_and_projects_archived_by_the_services(browser, rows):
    act(browser, "apikey", "revoke", rows["apikey"])
    assert ApiKey.objects.get(pk=rows["apikey"].pk).revoked_at is not None
    act(browser, "project", "archive", rows["project"])
    rows["project"].refresh_from_db()
    assert rows["project"].status == "archived"


def test_a_person_is_logged_out_everywhere(browser, person, log_in, bearing):
    access = log_in(person)["access"]
    act(browser, "user", "log_out_everywhere", person)
    bearing(access).get("/v1/auth/me").expect(401)


def test_a_person_is_made_and_given_a_seat(browser, project):
    secret = {"username": "new", "password1": factories.PASSWORD, "password2": factories.PASSWORD}
    answer = browser.post(reverse("admin:projects_user_add"), {**secret, "usable_password": "true"})
    assert answer.status_code == 302, answer.content.decode()[:3000]
    path = reverse("admin:projects_project_change", args=[project.pk])
    seats = {
        "name": project.name,
        "memberships-TOTAL_FORMS": 1,
        "memberships-INITIAL_FORMS": 0,
        "memberships-0-user": str(factories.User.objects.get(username="new").pk),
        "memberships-0-role": "editor",
    }
    assert browser.post(path, seats).status_code == 302
    assert Membership.objects.get(project=project).role == "editor"
