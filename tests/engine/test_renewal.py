"""Leases are extended together, and a row that somebody has locked keeps none of the others from it."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from django.db import connection, transaction

from flowforge.core import clock
from flowforge.engine.pulling import pulling
from flowforge.engine.store import keeping
from flowforge.engine.store import runs as run_store
from runs.models import Run, StepRun
from tests.engine.conftest import Flow, effect

MakeFlow = Callable[..., Flow]
WAIT_SECONDS = 30.0


def claimed_steps(flow: MakeFlow) -> list[keeping.Lease]:
    made = flow(nodes=[effect(f"s{place}") for place in range(4)])
    run = made.start()
    made.answer(made.bell.rings.pop(0))
    claimed = run_store.read_run(run.id)
    assert claimed is not None
    pulled = pulling(claimed, "default")
    return [(row.id, row.lease_token) for _ in range(4) for row in pulled.claim()]


@pytest.mark.django_db
def test_only_leases_that_are_still_held_are_extended(flow: MakeFlow) -> None:
    (first, token), (second, other), third, _ = claimed_steps(flow)
    StepRun.objects.filter(id=third[0]).update(status="completed")
    until = clock.now() + timedelta(hours=1)
    keeping.renew_steps([(first, token), (second, other + 1), third], until)
    assert list(StepRun.objects.filter(lease_expires_at=until).values_list("id", flat=True)) == [first]


@pytest.mark.django_db
def test_a_run_is_looked_at_when_its_lease_ends(flow: MakeFlow) -> None:
    run = flow(nodes=[effect("a")]).start()
    claimed = run_store.claim_run(run.id, "me", clock.now(), 8)
    assert claimed is not None
    until = clock.now() + timedelta(hours=1)
    keeping.renew_runs([(run.id, claimed.lease_token)], until)
    assert Run.objects.get(lease_expires_at=until, wake_at=until).pk == run.pk
    keeping.renew_runs([(run.id, claimed.lease_token + 1)], until + timedelta(hours=1))
    assert Run.objects.filter(lease_expires_at=until).exists()


@pytest.mark.django_db(transaction=True)
def test_a_locked_row_holds_up_itself_alone(flow: MakeFlow) -> None:
    """It is waited for with nothing else in hand: two who each wait for what the other has would wait for a second,
    and then one of them fails."""
    if connection.vendor != "postgresql":
        pytest.skip("PostgreSQL locks rows")
    leases = claimed_steps(flow)
    until = clock.now() + timedelta(hours=1)
    locked, waited = threading.Event(), threading.Event()

    def hold() -> None:
        try:
            with transaction.atomic():
                list(StepRun.objects.select_for_update().filter(id=leases[0][0]))
                locked.set()
                others = StepRun.objects.filter(lease_expires_at=until)
                while others.count() < len(leases) - 1 and not waited.wait(0.01):
                    pass
                list(StepRun.objects.select_for_update().filter(id=leases[1][0]))
        finally:
            connection.close()

    with ThreadPoolExecutor(1) as pool:
        holder = pool.submit(hold)
        assert locked.wait(WAIT_SECONDS)
        timer = threading.Timer(WAIT_SECONDS, waited.set)
        timer.start()
        keeping.renew_steps(leases, until)
        timer.cancel()
        holder.result(WAIT_SECONDS)
    assert not waited.is_set()
    assert StepRun.objects.filter(lease_expires_at=until).count() == len(leases)
