"""The ground under a test session, laid before Django reads its settings: pyproject.toml loads this as a plugin.

Each session has its own FLOWFORGE_HOME, so that several may run at once in one checkout; each xdist worker has its
own database (pytest-django names it) and its own Redis database, so that no worker takes another's messages.
"""

import atexit
import os
import shutil
import tempfile
from urllib.parse import urlsplit, urlunsplit

OWN_HOME = "FLOWFORGE_TEST_HOME_OWNER"  # pid of the process that made the home and removes it
FROM_OUTSIDE = ("FLOWFORGE_API_KEY", "FLOWFORGE_ADMIN_PASSWORD", "FLOWFORGE_FAILPOINTS", "FLOWFORGE_HTTPS", "CACHE_URL")


def prepare() -> None:
    """Set the environment that settings are read from. Runs in the controller and in every xdist worker."""
    for name in FROM_OUTSIDE:
        os.environ.pop(name, None)
    worker = os.environ.get("PYTEST_XDIST_WORKER")
    if worker is None:
        home = tempfile.mkdtemp(prefix="flowforge-tests-")
        os.environ |= {"FLOWFORGE_HOME": home, OWN_HOME: str(os.getpid())}
    elif os.environ.get("BROKER_URL", "").startswith("redis"):
        os.environ["BROKER_URL"] = redis_database(os.environ["BROKER_URL"], int(worker.removeprefix("gw")) + 1)


def redis_database(url: str, number: int) -> str:
    """The same server, another of its databases."""
    return urlunsplit(urlsplit(url)._replace(path=f"/{number}"))


def remove_home() -> None:
    """At the end of the process that made it; a forked child leaves it alone."""
    if os.environ.get(OWN_HOME) == str(os.getpid()):
        shutil.rmtree(os.environ["FLOWFORGE_HOME"], ignore_errors=True)


prepare()
atexit.register(remove_home)
