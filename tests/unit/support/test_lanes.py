"""The driver of `make test`: what it counts and when it is green."""

from pathlib import Path

import pytest

from tests.support import lanes
from tests.support.environment import redis_database

REPORT = """<testsuites><testsuite tests="9" failures="1" errors="2" skipped="3"/></testsuites>"""


def result(**fields: int) -> lanes.Result:
    return lanes.Result(
        **{"name": "SQLite", "passed": 1, "failed": 0, "skipped": 0, "seconds": 2.0, "exit_code": 0, **fields}
    )


def test_it_works(tmp_path: Path) -> None:
    report = tmp_path / "0.xml"
    report.write_text(REPORT)
    counted = lanes.count("SQLite", report, 2.0, 1)
    assert (counted.passed, counted.failed, counted.skipped) == (3, 3, 3)
    assert str(counted) == "SQLite: 3 passed, 3 failed, 3 skipped in 2 s  <- NOT GREEN"


def test_it_rejects_a_session_that_broke_down(tmp_path: Path) -> None:
    counted = lanes.count("SQLite", tmp_path / "none.xml", 2.0, 3)
    assert (counted.passed, counted.is_green) == (0, False)


@pytest.mark.parametrize(
    ("fields", "green"), [({}, True), ({"passed": 0}, False), ({"failed": 1}, False), ({"exit_code": 1}, False)]
)
def test_it_is_green_only_when_something_passed_and_nothing_failed(fields: dict[str, int], green: bool) -> None:
    assert result(**fields).is_green is green


def test_it_gives_each_worker_its_own_redis_database() -> None:
    assert redis_database("redis://:secret@127.0.0.1:6379/0", 2) == "redis://:secret@127.0.0.1:6379/2"
