"""`make test`: the whole suite on each lane, then one line per lane. Arguments go to pytest.

Lanes: SQLite with the in-process broker; PostgreSQL with Valkey. The second brings its own servers, unless DATABASE_URL
or BROKER_URL name some. What cannot be had is said in one loud line, and the lane runs with what there is.
"""

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import NoReturn
from urllib.parse import urlsplit
from xml.etree import ElementTree

from tests.support import servers

CHECKOUT = Path(__file__).resolve().parents[2]
NAMES = {"postgresql": "PostgreSQL", "postgres": "PostgreSQL", "redis": "Redis", "rediss": "Redis", "amqp": "RabbitMQ"}
OURS = ("FLOWFORGE_", "DATABASE_URL", "BROKER_URL", "CACHE_URL", "DJANGO_", "OTEL_")  # settings of whoever calls us


@dataclass(frozen=True, kw_only=True)
class Lane:
    name: str
    urls: dict[str, str]  # DATABASE_URL and BROKER_URL, where they aren't the defaults


@dataclass(frozen=True, kw_only=True)
class Result:
    name: str
    passed: int
    failed: int  # errors included
    skipped: int
    seconds: float
    exit_code: int  # pytest's own

    @property
    def is_green(self) -> bool:
        """A lane that ran nothing proves nothing."""
        return self.exit_code == 0 and self.failed == 0 and self.passed > 0

    def __str__(self) -> str:
        counts = f"{self.passed} passed, {self.failed} failed, {self.skipped} skipped in {self.seconds:.0f} s"
        return f"{self.name}: {counts}{'' if self.is_green else '  <- NOT GREEN'}"


def main(arguments: list[str]) -> int:
    """Run all lanes; 0 when each is green."""
    signal.signal(signal.SIGTERM, _leave)  # so that the servers are stopped then, too
    with tempfile.TemporaryDirectory(prefix="flowforge-lanes-") as folder:
        os.chmod(folder, 0o711)  # a server that runs as another user has to get through to its own folder
        results = [run(Lane(name="SQLite + in-process broker", urls={}), arguments, Path(folder))]
        with second_lane(Path(folder)) as lane:
            if lane is not None:
                results.append(run(lane, arguments, Path(folder)))
    report(results)
    return 0 if all(result.is_green for result in results) else 1


@contextlib.contextmanager
def second_lane(folder: Path) -> Iterator[Lane | None]:
    """The lane of real servers, as far as they can be had; None when there is none at all."""
    with contextlib.ExitStack() as stack:
        database = _given("DATABASE_URL") or _started("PostgreSQL", servers.postgres, folder, stack)
        broker = _given("BROKER_URL") or _started("Valkey", servers.valkey, folder, stack)
        if not database and not broker:
            yield None
            return
        name = f"{database.name if database else 'SQLite'} + {broker.name if broker else 'in-process broker'}"
        found = {"DATABASE_URL": database, "BROKER_URL": broker}
        yield Lane(name=name, urls={variable: server.url for variable, server in found.items() if server})


@dataclass(frozen=True, kw_only=True)
class Server:
    name: str
    url: str


def _given(variable: str) -> Server | None:
    url = os.environ.get(variable)
    return Server(name=f"{NAMES.get(scheme := urlsplit(url).scheme, scheme)} (given)", url=url) if url else None


def _started(
    name: str,
    start: Callable[[Path], contextlib.AbstractContextManager[str]],
    folder: Path,
    stack: contextlib.ExitStack,
) -> Server | None:
    """A server that lives as long as `stack`; None, and a loud line, when it cannot be had."""
    own = folder / name.lower()
    own.mkdir()
    try:
        return Server(name=name, url=stack.enter_context(start(own)))
    except servers.CannotStart as error:
        print(f"\n!!! NOT TESTED: {name} cannot be had: {error}\n", flush=True)
        return None


def run(lane: Lane, arguments: list[str], folder: Path) -> Result:
    """One pytest session, in an environment that has nothing of the caller's settings; its files go with `folder`."""
    print(f"\n=== {lane.name} ===", flush=True)
    report_file = folder / f"{len(list(folder.glob('*.xml')))}.xml"
    kept = {name: value for name, value in os.environ.items() if not name.startswith(OURS)}
    command = [sys.executable, "-m", "pytest", "-q", "-n", "2", f"--junitxml={report_file}", *arguments]
    began = time.monotonic()
    exit_code = subprocess.call(command, cwd=CHECKOUT, env=kept | lane.urls | {"TMPDIR": str(folder)})
    return count(lane.name, report_file, time.monotonic() - began, exit_code)


def count(name: str, report_file: Path, seconds: float, exit_code: int) -> Result:
    """Read pytest's JUnit report; without one (it broke down) there is nothing but its exit code."""
    suites = ElementTree.parse(report_file).getroot().iter("testsuite") if report_file.exists() else ()
    totals = {"tests": 0, "failures": 0, "errors": 0, "skipped": 0}
    for suite in suites:
        totals = {key: value + int(suite.get(key, 0)) for key, value in totals.items()}
    failed = totals["failures"] + totals["errors"]
    return Result(
        name=name,
        passed=totals["tests"] - failed - totals["skipped"],
        failed=failed,
        skipped=totals["skipped"],
        seconds=seconds,
        exit_code=exit_code,
    )


def report(results: list[Result]) -> None:
    print("\n=== tests, lane by lane ===")
    for result in results:
        print(result)
    total = Result(
        name="total",
        passed=sum(result.passed for result in results),
        failed=sum(result.failed for result in results),
        skipped=sum(result.skipped for result in results),
        seconds=sum(result.seconds for result in results),
        exit_code=max(result.exit_code for result in results),
    )
    print(total, flush=True)


def _leave(signum: int, _: FrameType | None) -> NoReturn:
    raise SystemExit(128 + signum)


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except KeyboardInterrupt:
        sys.exit(130)
