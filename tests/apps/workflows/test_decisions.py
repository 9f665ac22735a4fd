"""The ledger of triggers: bounded, one row a due time."""

from datetime import timedelta

import pytest
from django.db import IntegrityError, transaction

from flowforge.core import clock
from flowforge.core.ids import new_id
from workflows import decisions as reading
from workflows.models import TriggerDecision
from workflows.services import decisions
from workflows.services.decisions import Decision, Trigger, purge, record_decisions, settle_waiting


@pytest.fixture
def record(project):
    def make(*rows, trigger_id="t", at=None, **fields):
        trigger = Trigger(project_id=project.pk, type="webhook", id=trigger_id)
        found = rows or [Decision(**{"decision": "fired", "reason": "so", **fields})]
        record_decisions(trigger=trigger, decisions=found, now=at or clock.now())

    return make


def test_it_works(record):
    run_id = new_id()
    record(decision="rejected", reason="bad_signature", detail="x" * 900, run_id=run_id)
    [row] = reading.decisions_of("webhook", "t")
    shown = reading.show(row)
    assert (shown["decision"], shown["reason"], shown["run_id"]) == ("rejected", "bad_signature", str(run_id))
    assert len(shown["detail"]) == 500
    assert list(reading.decisions_of("webhook", "other")) == []
    assert list(reading.decisions_of("schedule", "t")) == []


def test_it_rejects_a_second_decision_about_a_due_time(record):
    record(due_at=clock.now())
    due_at = TriggerDecision.objects.get().due_at
    with pytest.raises(IntegrityError), transaction.atomic():
        record(due_at=due_at)
    record(due_at=due_at, trigger_id="other")
    record()
    record()  # calls have no due time


def test_it_rejects_words_that_nobody_knows(record):
    with pytest.raises(IntegrityError), transaction.atomic():
        record(decision="perhaps")


def test_what_waits_is_settled_once(record):
    record(decision="deferred", due_at=clock.now())
    [row] = reading.waiting("webhook")
    assert settle_waiting(decision_id=row.pk, run_id=new_id(), reason="overlap")
    assert not settle_waiting(decision_id=row.pk, run_id=new_id(), reason="overlap")
    assert list(reading.waiting("webhook")) == []


def test_old_ones_are_deleted(record):
    old = clock.now() - decisions.KEPT - timedelta(seconds=1)
    record(*[Decision(decision="fired", reason="so")] * 3, at=old)
    record(decision="deferred", at=old)  # waits: it is not done with
    record()
    assert purge(now=clock.now(), limit=2) == 2
    assert purge(now=clock.now(), limit=2) == 1
    assert purge(now=clock.now(), limit=2) == 0
    assert TriggerDecision.objects.count() == 2


def test_too_many_of_one_trigger_are_deleted(record, monkeypatch):
    monkeypatch.setattr(decisions, "KEPT_OF_EACH", 3)
    record(*[Decision(decision="fired", reason=f"r{n}") for n in range(5)])
    record(trigger_id="other")
    assert purge(now=clock.now(), limit=100) == 2
    left = TriggerDecision.objects.filter(trigger_id="t").order_by("id").values_list("reason", flat=True)
    assert list(left) == ["r2", "r3", "r4"]
    assert purge(now=clock.now(), limit=100) == 0
