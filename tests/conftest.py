"""What every test may ask for. Helpers with a body of their own are in tests/support, rows in tests/factories.py."""

from collections.abc import Callable, Iterator
from datetime import timedelta

import hypothesis
import pytest
from django.conf import settings as django_settings
from django.core.cache import cache
from django.db import connection
from django.test.utils import CaptureQueriesContext
from pytest_django.plugin import blocking_manager_key

from flowforge.api import rates
from flowforge.core import bell as core_bell
from flowforge.core import clock as core_clock
from flowforge.operating import selectors as operating
from flowforge.projects.models import Project
from runs.services import backlog
from tests import factories
from tests.support import http_stub, network
from tests.support import llm_server as llm_server_of_tests
from tests.support.api import ApiClient
from tests.support.bells import BellRecorder
from tests.support.clock import FrozenClock
from tests.support.healing import heal, is_broken
from tests.support.http_stub import HttpStub
from tests.support.llm_server import LlmServer

# a busy machine is not a fault: examples have no deadline of their own, the test's timeout holds
hypothesis.settings.register_profile("flowforge", deadline=None, print_blob=True)
hypothesis.settings.load_profile("flowforge")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests that need a real server are skipped, and counted as such, on a lane that has none."""
    missing = {
        "postgres": not django_settings.DATABASES["default"]["ENGINE"].endswith("postgresql"),
        "redis": not django_settings.BROKER_URL.startswith("redis"),
    }
    for item in items:
        for marker, absent in missing.items():
            if absent and item.get_closest_marker(marker):
                item.add_marker(pytest.mark.skip(reason=f"needs {marker}: this lane has none"))


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """One test that was cut short is one failure, not hundreds."""
    if is_broken(connection):
        print(f"before {item.nodeid}: the database connection was left broken, and is made anew")
        with item.config.stash[blocking_manager_key].unblock():
            heal(connection)


# --- the ground ---------------------------------------------------------------------------------------------------


@pytest.fixture(autouse=True)
def _no_network(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with network.guard(monkeypatch) as tried:
        yield
    assert not tried, f"left this machine: {tried}"


@pytest.fixture(autouse=True)
def _clean_process(settings: object) -> None:
    """Nothing that a process keeps (rate buckets, caches) passes from test to test; passwords are cheap to hash.

    Sinks remember for a second who listens: tests that are about them name them, the others count their statements.
    """
    settings.EVENT_SINKS = []  # type: ignore[attr-defined]  # as below
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]  # type: ignore[attr-defined]  # pytest-django's wrapper has no type for it
    cache.clear()
    rates.store.cache_clear()
    operating.forget()
    backlog.forget()
    core_clock.set_offset(timedelta(0))  # a test that starts a worker measures it


@pytest.fixture
def frozen_clock(monkeypatch: pytest.MonkeyPatch) -> FrozenClock:
    """`core.clock.now()` stands still; `frozen_clock.advance(seconds)` moves it."""
    clock = FrozenClock()
    monkeypatch.setattr(core_clock, "datetime", clock)
    return clock


@pytest.fixture
def bell(monkeypatch: pytest.MonkeyPatch) -> BellRecorder:
    """Hints are kept, not sent."""
    recorder = BellRecorder()
    monkeypatch.setattr(core_bell, "_send", recorder.send)
    return recorder


@pytest.fixture
def stub() -> Iterator[HttpStub]:
    """A web server on the loopback; the guard of outgoing calls has to be told that it may be reached."""
    with http_stub.serve() as server:
        yield server


@pytest.fixture
def llm_server() -> Iterator[LlmServer]:
    """A language model on the loopback that says what the test scripts."""
    with llm_server_of_tests.serve() as server:
        yield server


@pytest.fixture
def query_counter() -> Callable[[], CaptureQueriesContext]:
    """`with query_counter() as queries: …` then `assert len(queries) == 3`."""
    return lambda: CaptureQueriesContext(connection)


# --- who calls ----------------------------------------------------------------------------------------------------


@pytest.fixture
def project(db: None) -> Project:
    """The project of the test."""
    return factories.make_project()


@pytest.fixture
def other_project(db: None) -> Project:
    """A project that the callers of `project` must not see."""
    return factories.make_project()


@pytest.fixture
def client_with(project: Project) -> Callable[..., ApiClient]:
    """`client_with("runs:read")`: an API key of `project` with those scopes alone; `project=` for another's."""

    def make(*scopes: str, project: Project = project) -> ApiClient:
        _, key = factories.make_api_key(project=project, scopes=scopes)
        return ApiClient({"X-API-KEY": key})

    return make


@pytest.fixture
def client_as(project: Project) -> Callable[..., ApiClient]:
    """`client_as("viewer")`: a person of that role, logged in; `project=` for another's member."""

    def make(role: str, *, project: Project = project) -> ApiClient:
        user = factories.make_user(project=project, role=role)
        login = {"username": user.username, "password": factories.PASSWORD}
        access = ApiClient().post("/v1/auth/token", login).expect(200).data["access"]
        return ApiClient({"Authorization": f"Bearer {access}"})

    return make


@pytest.fixture
def client(client_with: Callable[..., ApiClient]) -> ApiClient:
    """May do everything in `project`."""
    return client_with("admin")


@pytest.fixture
def stranger(client_with: Callable[..., ApiClient], other_project: Project) -> ApiClient:
    """May do everything, but in another project."""
    return client_with("admin", project=other_project)


@pytest.fixture
def anonymous(db: None) -> ApiClient:
    """Has no credential."""
    return ApiClient()
