"""People and keys, as their tests want them."""

from collections.abc import Callable

import pytest

from flowforge.api import rates
from flowforge.projects import callers
from flowforge.projects.models import Project, User
from tests import factories
from tests.support.api import ApiClient

LogIn = Callable[[User], dict[str, str]]


@pytest.fixture(autouse=True)
def _fresh_process() -> None:
    """Nothing is remembered of another test's callers and counts."""
    callers.forget_now()
    rates.store.cache_clear()


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
