"""Events and the steps that wait for them; steps that publish some."""

from collections.abc import Callable
from typing import Any

import pytest

from flowforge.core import failpoints
from flowforge.core.ids import new_id
from flowforge.engine import driver, event_waits, timers
from flowforge.engine.store.rows import StepRow
from flowforge.events.models import Event
from flowforge.events.services import record_event
from flowforge.projects.models import Project
from runs.models import Run
from runs.services import publishing
from runs.services.lineage import MAX_DEPTH
from runs.services.publishing import Publication, publish_event, resume_matching
from tests import factories
from tests.engine.conftest import Flow, chain, effect, events, fresh, statuses, step
from tests.support.clock import FrozenClock
from workflows.models import TriggerDecision

pytestmark = pytest.mark.django_db
MakeFlow = Callable[..., Flow]
Publish = Callable[..., Publication]


def wait(node_id: str = "wait", **config: Any) -> dict[str, Any]:
    return {"id": node_id, "type": "wait_event", "config": {"event": "paid", **config}}


def emit(node_id: str = "emit", **config: Any) -> dict[str, Any]:
    return {"id": node_id, "type": "emit", "config": {"event": "paid", **config}}


@pytest.fixture
def publish(project: Project) -> Publish:
    def call(name: str = "paid", *, dedupe_key: str | None = None, **payload: Any) -> Publication:
        return publish_event(project_id=project.pk, name=name, payload=payload, source="test", dedupe_key=dedupe_key)

    return call


def became_of(name: str) -> list[tuple[str, str]]:
    """What the ledger says of the events of that name."""
    ids = [str(pk) for pk in Event.objects.filter(name=name).values_list("pk", flat=True)]
    rows = TriggerDecision.objects.filter(trigger_type="event", trigger_id__in=ids)
    return list(rows.order_by("created_at", "id").values_list("decision", "reason"))


def test_it_works(flow: MakeFlow, publish: Publish) -> None:
    made = flow(chain(wait(), effect("after", value="{{ steps.wait.output.n }}")))
    run = made.run()
    assert (run.status, run.wake_at) == ("waiting", None)
    assert publish("other", n=1).matched == 0
    assert publish(n=2).matched == 1
    made.drain()
    assert fresh(run).status == "completed"
    assert step(run, "after").output == 2
    assert events(run, "wait") == ["step.started", "step.waiting", "step.completed"]


@pytest.mark.parametrize(
    "match", ["{{ payload.order == inputs.order }}", "payload.order == steps.first.output.order and event == 'paid'"]
)
def test_an_event_finds_the_run_that_it_concerns(flow: MakeFlow, publish: Publish, match: str) -> None:
    first = {"id": "first", "type": "transform", "config": {"values": {"order": "{{ inputs.order }}"}}}
    made = flow(chain(first, wait(match=match)))
    runs = [made.run(order=number) for number in range(3)]
    assert publish(order=1).matched == 1
    made.drain()
    assert [fresh(run).status for run in runs] == ["waiting", "completed", "waiting"]


def test_an_event_ends_any_number_of_steps_in_pages(
    flow: MakeFlow, publish: Publish, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("runs.services.publishing.PAGE", 2)
    made = flow(nodes=[wait("a"), wait("b", match="{{ payload.n > 5 }}")])
    runs = [made.run() for _ in range(3)]
    assert publish(n=1).matched == 3
    assert publish(n=9).matched == 3
    assert publish(n=9).matched == 0
    made.drain()
    assert {fresh(run).status for run in runs} == {"completed"}


def test_a_match_that_cannot_be_evaluated_leaves_its_step_waiting(flow: MakeFlow, publish: Publish) -> None:
    made = flow(nodes=[wait("bad", match="{{ payload.n > 'a' }}"), wait("good")])
    run = made.run()
    done = publish(n=1)
    assert done.matched == 1
    assert [(each.run_id, each.step_id) for each in done.unclear] == [(run.pk, step(run, "bad").pk)]
    made.drain()
    assert statuses(run) == {"bad": "waiting", "good": "completed"}


def test_it_rejects_events_of_other_projects(flow: MakeFlow, other_project: Project) -> None:
    run = flow(nodes=[wait()]).run()
    done = publish_event(project_id=other_project.pk, name="paid", payload={}, source="test")
    assert done.matched == 0
    assert fresh(run).status == "waiting"


def test_without_an_event_in_time_it_fails(flow: MakeFlow, publish: Publish, frozen_clock: FrozenClock) -> None:
    made = flow(nodes=[wait(timeout="1h")])
    run = made.run()
    frozen_clock.advance(3600.1)
    assert publish().matched == 0  # its time is up, though nobody has looked
    driver.drive(run.pk)
    assert fresh(run).status == "failed"
    assert step(run, "wait").error["code"] == "timeout"


# --- what crosses -------------------------------------------------------------------------------------------------


def crossing(monkeypatch: pytest.MonkeyPatch, act: Callable[[], Any], *, at: str) -> None:
    """Do something at the first time that the driver passes a failpoint."""
    left = [act]
    monkeypatch.setattr(driver, "failpoint", lambda name: left.pop()() if name == at and left else None)


def test_what_comes_while_the_step_is_being_stored_is_not_lost(
    flow: MakeFlow, publish: Publish, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = flow(nodes=[wait(match="{{ payload.n == 2 }}")])
    crossing(monkeypatch, lambda: [publish(n=1), publish(n=2)], at="commit.before")
    run = made.run()
    assert fresh(run).status == "completed"
    assert step(run, "wait").output == {"n": 2}


def test_what_comes_between_storing_and_looking_back_counts_once(
    flow: MakeFlow, publish: Publish, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = flow(nodes=[wait()])
    crossing(monkeypatch, lambda: publish(n=1), at="commit.after")
    run = made.run()
    assert fresh(run).status == "completed"
    assert events(run, "wait") == ["step.started", "step.waiting", "step.completed"]


def test_a_driver_that_dies_before_it_has_looked_back_is_followed_by_one_that_does(
    flow: MakeFlow, publish: Publish, monkeypatch: pytest.MonkeyPatch, frozen_clock: FrozenClock
) -> None:
    made = flow(nodes=[wait()])
    run = made.start()
    crossing(monkeypatch, publish, at="commit.before")
    with monkeypatch.context() as patch:
        patch.setattr(driver, "look_back", die)
        made.drain()
    assert (fresh(run).status, statuses(run)) == ("waiting", {"wait": "waiting"})
    assert fresh(run).wake_at is not None
    frozen_clock.advance(20)
    timers.run_once(frozen_clock.now())
    made.drain()
    assert fresh(run).status == "completed"


def die(*_: object) -> None:
    raise RuntimeError("killed")


def test_what_was_published_before_does_not_count(flow: MakeFlow, publish: Publish, frozen_clock: FrozenClock) -> None:
    publish()
    frozen_clock.advance(0.001)
    run = flow(nodes=[wait()]).run()
    assert run.status == "waiting"


def test_an_event_whose_publisher_died_is_matched_all_the_same(
    flow: MakeFlow, project: Project, frozen_clock: FrozenClock
) -> None:
    made = flow(nodes=[wait()])
    run = made.run()
    frozen_clock.advance(0.1)
    record_event(project_id=project.pk, name="paid", payload={"n": 1}, source="test")
    frozen_clock.advance(5)
    later = made.run()
    assert resume_matching(frozen_clock.now()) == 0  # its publisher may still be at it
    frozen_clock.advance(6)
    assert resume_matching(frozen_clock.now()) == 1
    assert resume_matching(frozen_clock.now()) == 0
    made.drain()
    assert (fresh(run).status, fresh(later).status) == ("completed", "waiting")
    assert Event.objects.get().matched_count == 1


def test_one_bad_event_does_not_stop_the_others(
    flow: MakeFlow, project: Project, frozen_clock: FrozenClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    made, other = flow(nodes=[wait()]), flow(nodes=[wait(event="other")])
    runs = [made.run(), other.run()]
    frozen_clock.advance(0.1)
    for name in ("paid", "other"):
        record_event(project_id=project.pk, name=name, payload={}, source="test")
    frozen_clock.advance(11)
    match = publishing.match_event

    def but_not_paid(*, event: Event, created: bool) -> Publication:
        if event.name == "paid":
            die()
        return match(event=event, created=created)

    monkeypatch.setattr(publishing, "match_event", but_not_paid)
    assert resume_matching(frozen_clock.now()) == 2
    assert resume_matching(frozen_clock.now()) == 0
    made.drain()
    assert [fresh(run).status for run in runs] == ["waiting", "completed"]
    assert became_of("paid") == [("skipped", "error")]
    assert became_of("other") == [("fired", "matched")]


def test_an_event_that_woke_somebody_is_not_skipped_when_it_is_resumed(
    flow: MakeFlow, publish: Publish, frozen_clock: FrozenClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    flow(nodes=[wait()]).run()
    with monkeypatch.context() as broken:
        broken.setattr(publishing, "note_matched", lambda **_: die())
        with pytest.raises(RuntimeError, match="killed"):
            publish(n=1)
    frozen_clock.advance(11)
    assert resume_matching(frozen_clock.now()) == 1
    assert became_of("paid") == [("fired", "matched")]


# --- emit ---------------------------------------------------------------------------------------------------------


def test_a_run_wakes_another(flow: MakeFlow) -> None:
    waiting = flow(nodes=[wait()])
    asleep = waiting.run()
    run = flow(nodes=[emit(payload={"order": "{{ inputs.order }}"})]).run(order=5)
    waiting.drain()
    assert step(run, "emit").output == {"id": str(Event.objects.get().pk), "event": "paid", "matched": 1}
    assert (fresh(run).status, fresh(asleep).status) == ("completed", "completed")
    assert step(asleep, "wait").output == {"order": 5}
    assert became_of("paid") == [("fired", "matched")]
    assert Event.objects.get().source == f"step:{step(run, 'emit').pk}"


def test_a_step_that_is_tried_again_after_a_crash_publishes_once(
    flow: MakeFlow, frozen_clock: FrozenClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The effect has happened, its process died before it could say so."""
    made = flow(nodes=[emit()])
    run = made.start()
    failpoints.configure("step.after_effect:1:raise:1")
    try:
        made.drain()
    finally:
        failpoints.configure("")
    assert Event.objects.count() == 1
    frozen_clock.advance(60)
    timers.run_once(frozen_clock.now())
    made.drain()
    run = fresh(run)
    assert (run.status, Event.objects.count()) == ("completed", 1)
    assert step(run, "emit").output["id"] == str(Event.objects.get().pk)


def test_another_step_publishes_its_own(flow: MakeFlow) -> None:
    run = flow(nodes=[emit("a"), emit("b")]).run()
    assert run.status == "completed"
    assert Event.objects.count() == 2


def test_clients_cannot_take_a_steps_key(flow: MakeFlow, publish: Publish) -> None:
    made = flow(nodes=[emit()])
    run = made.start()
    publish(dedupe_key=f"api:ff-{run.pk}-1")
    made.drain()
    assert Event.objects.filter(source__startswith="step:").count() == 1


def test_what_a_run_publishes_starts_runs_one_deeper(flow: MakeFlow) -> None:
    made = flow(nodes=[emit(payload={"n": 1})])
    other = factories.make_workflow(project=made.workflow.project)
    factories.make_event_trigger(workflow=other, event="paid")
    run = made.run()
    started = Run.objects.get(workflow=other)
    assert (started.depth, started.trace_id, started.inputs) == (1, run.trace_id, {"n": 1})


def test_what_starts_itself_without_end_is_stopped(flow: MakeFlow) -> None:
    made = flow(nodes=[emit()])
    factories.make_event_trigger(workflow=made.workflow, event="paid")
    made.run()
    made.drain()
    assert sorted(Run.objects.values_list("depth", flat=True)) == list(range(MAX_DEPTH + 1))
    refused = TriggerDecision.objects.filter(trigger_type="event_trigger", decision="rejected")
    assert list(refused.values_list("reason", flat=True)) == ["too_deep"]


def test_listening_is_over_once_it_is_resolved() -> None:

    rows = [
        StepRow(id=new_id(), node_id=node, status=status, waits_for=waits_for, resolution=resolution)
        for node, status, waits_for, resolution in (
            ("yes", "waiting", "event:a", None),
            ("resolved", "waiting", "event:a", {"status": "completed"}),
            ("ended", "completed", "event:a", None),
            ("time", "waiting", "time", None),
        )
    ]
    assert [row.node_id for row in event_waits.listening(rows)] == ["yes"]
