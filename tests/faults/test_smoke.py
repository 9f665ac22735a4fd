"""The profile `smoke`: real processes, killed and confused, on this lane's stack. `make faults` is the long one."""

import os

import pytest
from django.conf import settings

from tests.faults.__main__ import run_stack
from tests.faults.profiles import smoke
from tests.faults.report import Report
from tests.faults.world import StackName

pytestmark = [pytest.mark.processes, pytest.mark.timeout(400)]

SEED = int(os.environ.get("FAULTS_SEED", "7"))


def check_stack(stack: StackName) -> None:
    report = Report()
    run_stack(stack, smoke(stack), SEED, report)
    report.show()
    if report.not_tested:
        pytest.skip("; ".join(report.not_tested))
    assert report.lines
    assert report.violations == 0


@pytest.mark.skipif(not settings.EMBEDDED, reason="of the embedded default: the SQLite lane runs it")
def test_it_works() -> None:
    check_stack("embedded")


@pytest.mark.postgres
@pytest.mark.redis
def test_a_fleet() -> None:
    check_stack("fleet")


@pytest.mark.postgres
@pytest.mark.redis
def test_a_fleet_on_rabbitmq() -> None:
    check_stack("rabbitmq")
