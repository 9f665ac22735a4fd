"""Two projects with a row of each kind, and who may do everything in the wrong one."""

import pytest

from flowforge.projects import callers
from tests.contract.matrix import Place, make_place
from tests.support.api import ApiClient


@pytest.fixture(autouse=True)
def _fresh_process() -> None:
    callers.forget_now()


@pytest.fixture
def place(project) -> Place:
    return make_place(project)


@pytest.fixture
def elsewhere(other_project) -> Place:
    return make_place(other_project)


@pytest.fixture(params=["key", "owner"])
def stranger(request, client_with, client_as, other_project) -> ApiClient:
    """May do everything, elsewhere."""
    if request.param == "key":
        return client_with("admin", project=other_project)
    return client_as("owner", project=other_project)
