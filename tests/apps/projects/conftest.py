"""People and keys, as their tests want them."""

from collections.abc import Callable

import pytest
from django.test.utils import CaptureQueriesContext

from flowforge.api import rates
from flowforge.projects import callers
from flowforge.projects.models import Project, User
from tests import factories
from tests.support.api import ApiClient

LogIn = Callable[[User], dict[str, str]]


@pytest.fixture(autouse=True)
def _fresh_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is remembered of another test's callers and counts; what is, doesn't grow old on a slow machine."""
    callers.forget_now()
    rates.store.cache_clear()
    for remembered in (callers._keys, callers._logins):
        monkeypatch.setattr(remembered, "_monotonic", lambda: 0.0)


@pytest.fixture
def own_queries(query_counter: Callable[[], CaptureQueriesContext]) -> Callable[[Callable[[], object]], list[str]]:
    """The statements that a call makes, without those that count it on its rate limit (in the database, on some)."""

    def of(call: Callable[[], object]) -> list[str]:
        with query_counter() as queries:
            call()
        return [query["sql"] for query in queries.captured_queries if "ratewindow" not in query["sql"]]

    return of


@pytest.fixture
def person(project: Project) -> User:
    """An owner of `project`."""
    return factories.make_user(project=project, role="owner")


@pytest.fixture
def log_in() -> LogIn:
    """The pair of tokens of a fresh login."""

    def pair(user: User) -> dict[str, str]:
        login = {"username": user.username, "password": factories.PASSWORD}
        return ApiClient().post("/v1/auth/token", login).expect(200).data

    return pair


@pytest.fixture
def bearing() -> Callable[[str], ApiClient]:
    return lambda credential: ApiClient({"Authorization": f"Bearer {credential}"})
