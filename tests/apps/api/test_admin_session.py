"""Sessions and CSRF protect /admin/; API calls neither get nor pay for them."""

import pytest
from django.http import HttpResponse
from django.test import Client, RequestFactory
from django.urls import reverse

from flowforge.api.middleware import SessionForAdminMiddleware
from flowforge.projects.models import User


@pytest.fixture(autouse=True)
def _routes(settings, _kit):
    settings.ROOT_URLCONF = "flowforge.urls"


@pytest.fixture
def admin(db) -> User:
    return User.objects.create_superuser("admin", password="a long password")


def login(client: Client, **extra: str) -> int:
    page = client.get("/admin/login/")
    token = client.cookies["csrftoken"].value if "csrftoken" in client.cookies else ""
    form = {"username": "admin", "password": "a long password", "csrfmiddlewaretoken": token, **extra}
    assert page.status_code == 200
    return client.post("/admin/login/", form).status_code


def test_it_works(admin):
    client = Client(enforce_csrf_checks=True)
    assert login(client) == 302
    page = client.get(reverse("admin:index"))
    assert page.status_code == 200
    assert client.cookies["sessionid"]["path"] == "/admin/"


def test_it_rejects_a_form_without_its_token(admin):
    client = Client(enforce_csrf_checks=True)
    assert login(client, csrfmiddlewaretoken="wrong" * 8) == 403
    assert "sessionid" not in client.cookies


@pytest.mark.parametrize(("path", "refused"), [("/admin/own/", True), ("/v1/things", False)])
def test_it_rejects_a_form_without_its_token_for_views_that_forgot_to_ask(path, refused):
    request = RequestFactory().post(path)
    middleware = SessionForAdminMiddleware(lambda _: HttpResponse())
    answer = middleware.process_view(request, lambda _: HttpResponse(), (), {})
    assert (answer is not None and answer.status_code == 403) is refused


def test_it_rejects_a_session_as_credentials_of_the_api(admin):
    client = Client()
    client.force_login(admin)
    answer = client.get("/v1/projects")
    assert answer.status_code == 401
    assert not answer.cookies


@pytest.mark.parametrize("path", ["/admin/login/", "/static/flowforge_api/docs.js"])
def test_it_rejects_hosts_that_are_not_ours(path):
    assert Client().get(path, headers={"Host": "evil.example"}).status_code == 400


def test_an_unknown_admin_page_is_a_page(admin):
    client = Client()
    client.force_login(admin)
    assert client.get("/admin/nothing/").headers["Content-Type"].startswith("text/html")
