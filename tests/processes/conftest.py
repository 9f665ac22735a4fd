"""Real processes on a home each. A fresh home is migrated once a session; the others are copies of it."""

import os
import shutil
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import psycopg
import pytest
from django.conf import settings

from tests.bench.client import Client
from tests.processes.step_types import PATH
from tests.support.environment import redis_database
from tests.support.service import Child, Site, site

HERE = Path(__file__).parent
LOOPBACK = "127.0.0.0/8"
LAST_REDIS_DATABASE = 15


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The embedded default has nothing of the other lane's servers: its tests run where there are none."""
    for item in items:
        if item.path.parent == HERE and not settings.EMBEDDED and not item.get_closest_marker("redis"):
            item.add_marker(pytest.mark.skip(reason="of the embedded default: the SQLite lane runs it"))


@dataclass(frozen=True, kw_only=True)
class Demonstration:
    """`up --demo` on an empty home, at its end."""

    site: Site
    child: Child
    exit_code: int
    seconds: float


@pytest.fixture(scope="session")
def demonstration(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demonstration]:
    """The first start of all, with no setting but home and port."""
    with site(tmp_path_factory.mktemp("first") / "home") as found:
        del found.environment["FLOWFORGE_API_KEY"]
        began = time.monotonic()
        child = found.run("up", "--demo")
        exit_code = child.ended(90)
        yield Demonstration(site=found, child=child, exit_code=exit_code, seconds=time.monotonic() - began)


@pytest.fixture(scope="module")
def home(demonstration: Demonstration, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home that has been started once."""
    return Path(shutil.copytree(demonstration.site.home, tmp_path_factory.mktemp("site") / "home"))


@pytest.fixture(scope="module")
def place(home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A site on that home, with nothing started; steps may read the folders of tests, however they are isolated."""
    wanted = {"FLOWFORGE_STEP_TYPES": PATH, "FLOWFORGE_ALLOW_PRIVATE_TARGETS": LOOPBACK}
    with site(home, FLOWFORGE_READABLE=str(tmp_path_factory.getbasetemp()), **wanted) as found:
        yield found


@pytest.fixture(scope="module")
def service(place: Site) -> Site:
    """That site, served by one process."""
    place.serve("up", "--quiet")
    for step_type in ("work", "generic", "python", "http"):
        place.client().allow(step_type)
    return place


@pytest.fixture
def client(service: Site) -> Client:
    return service.client()


# --- the same on PostgreSQL and Redis ---------------------------------------------------------------------------


@pytest.fixture(scope="module")
def database() -> Iterator[str]:
    """A database of its own on the lane's server: the processes must not see what other tests do."""
    url, name = os.environ["DATABASE_URL"], f"processes_{uuid.uuid4().hex[:12]}"
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
    yield urlunsplit(urlsplit(url)._replace(path=f"/{name}"))
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture(scope="module")
def broker() -> str:
    """A Redis database that no other test uses: it will be emptied."""
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    return redis_database(os.environ["BROKER_URL"], LAST_REDIS_DATABASE - worker)


@pytest.fixture(scope="module")
def fleet(database: str, broker: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """The web process alone; tests start workers."""
    home = tmp_path_factory.mktemp("fleet") / "home"
    with site(home, DATABASE_URL=database, BROKER_URL=broker, FLOWFORGE_STEP_TYPES=PATH) as found:
        for command in ("migrate", "bootstrap"):
            child = found.run(command)
            assert child.ended(60) == 0, child.printed
        found.serve("serve")
        for step_type in ("work", "python"):
            found.client().allow(step_type)
        yield found
