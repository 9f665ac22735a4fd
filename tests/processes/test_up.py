"""`manage.py up`, which `make run` and `make demo` are: from an empty home to the end by a signal."""

import json
import shutil
import signal
import socket
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from flowforge.steps import leftovers
from tests.bench.client import KEY
from tests.processes.conftest import Demonstration
from tests.processes.workflows import STUBBORN, chain, delay, logged, python
from tests.support.service import Site, site, until

pytestmark = [pytest.mark.processes, pytest.mark.timeout(240)]

MakeSite = Callable[..., Site]


@pytest.fixture
def make_site(home: Path, tmp_path: Path) -> Iterator[MakeSite]:
    """`make_site(NAME=value)`: a site on a copy of a home that has been started once."""
    found: list[Site] = []

    def make(**environment: str) -> Site:
        own = Path(shutil.copytree(home, tmp_path / f"home{len(found)}"))
        entered = site(own, **environment)
        found.append(entered.__enter__())
        return found[-1]

    yield make
    for each in found:
        each.end()


def test_it_works(demonstration: Demonstration) -> None:
    print(f"\nfirst start with the demonstration: {demonstration.seconds:.1f} s")
    printed = demonstration.child.printed
    access = json.loads((demonstration.site.home / "access.json").read_text())
    assert demonstration.exit_code == 0, printed
    assert "The run is completed" in printed
    assert '"rows_written":' in printed
    assert f"key     {access['api_key']}\n" in printed
    assert f"admin / {access['admin_password']}\n" in printed
    assert demonstration.site.step_processes() == []
    assert demonstration.site.scratch_folders() == []


def test_a_second_start_is_quick_and_has_the_same_keys(demonstration: Demonstration) -> None:
    access = (demonstration.site.home / "access.json").read_bytes()
    began = time.monotonic()
    child = demonstration.site.serve("up", "--quiet")
    seconds = time.monotonic() - began
    print(f"\nsecond start to the first answer: {seconds:.1f} s")
    assert child.end() == 0
    assert seconds < 20
    assert (demonstration.site.home / "access.json").read_bytes() == access


def test_it_rejects_a_taken_port(make_site: MakeSite) -> None:
    place = make_site()
    with socket.create_server(("127.0.0.1", place.port)):
        child = place.run("up", "--quiet")
        assert child.ended(30) == 1
    [line] = child.printed.strip().splitlines()
    assert f"127.0.0.1:{place.port} cannot be served" in line
    assert "PORT" in line


def test_it_rejects_a_second_process_on_a_home(service: Site) -> None:
    child = service.run("up", "--quiet", PORT="0")
    assert child.ended(30) == 1
    [line] = child.printed.strip().splitlines()
    assert f"another FlowForge runs on {service.home}" in line
    service.client().call("GET", "/v1/runs")  # the first is unharmed


def test_the_environment_is_honoured(make_site: MakeSite) -> None:
    place = make_site(HOST="127.0.0.2", FLOWFORGE_ADMIN_PASSWORD="told-by-the-environment")
    child = place.run("up", "--quiet")
    until(lambda: "Ctrl-C ends it." in child.printed or not child.is_alive, 60, "it serves")
    url = f"http://127.0.0.2:{place.port}"
    assert f"API     {url}/v1" in child.printed
    assert f"key     {KEY}\n" in child.printed
    assert "admin / told-by-the-environment\n" in child.printed
    assert asked(f"{url}/v1/workflows", {"X-API-KEY": KEY}) == 200
    login = json.dumps({"username": "admin", "password": "told-by-the-environment"}).encode()
    assert asked(f"{url}/v1/auth/token", {"Content-Type": "application/json"}, login) == 200
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", place.port))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_cleanly(make_site: MakeSite, number: signal.Signals) -> None:
    """Though a command runs that does not want to end, and a caller waits for a run that takes an hour."""
    place = make_site()
    child = place.serve("up", "--quiet")
    client = place.client()
    client.allow("python")
    run = client.start(client.create("stubborn", chain(python("s", STUBBORN))))["id"]
    until(lambda: logged(client, run) == ["deaf", "deaf"], 20, "the step runs, and its daemon")
    waiting = client.create("waiting", chain(delay("hour", "1h")))
    answers: list[str] = []
    caller = threading.Thread(target=lambda: answers.append(place.client().start(waiting, wait="60s")["status"]))
    caller.start()
    until(lambda: client.call("GET", "/v1/runs?status=waiting")["data"], 20, "the other run waits")
    began = time.monotonic()
    assert child.end(number) == 0, child.printed
    seconds = time.monotonic() - began
    caller.join(10)
    print(f"\n{number.name} to the end, with a stubborn step: {seconds:.1f} s")
    assert seconds < 8
    assert answers == ["waiting"]
    assert place.step_processes() == []
    assert place.scratch_folders() == []
    assert list(leftovers.descendants(child.pid)) == []
    assert "Traceback" not in child.printed


def test_a_signal_while_it_starts_ends_it_too(make_site: MakeSite) -> None:
    place = make_site()
    child = place.run("up", "--quiet")
    until(lambda: is_bound(place), 30, "it has its port")
    assert child.end() == 0, child.printed
    assert "Traceback" not in child.printed


def test_a_signal_during_the_demonstration_ends_it_too(make_site: MakeSite) -> None:
    place = make_site()
    child = place.run("up", "--demo")
    until(place.step_processes, 60, "the demonstration has begun")
    assert child.end() == 1, "the demonstration did not complete"
    assert child.printed.strip().splitlines()[-1] == "CommandError: interrupted"
    assert place.step_processes() == []
    assert place.scratch_folders() == []


def is_bound(place: Site) -> bool:
    with suppress(ConnectionRefusedError), socket.create_connection(("127.0.0.1", place.port)):
        return True
    return False


def asked(url: str, headers: dict[str, str], body: bytes | None = None) -> int:
    with urllib.request.urlopen(urllib.request.Request(url, body, headers), timeout=20) as answer:
        return int(answer.status)
