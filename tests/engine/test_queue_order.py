"""Whatever comes, goes and changes: those have the places whom the rule gives them, on every database."""

import random
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

from flowforge.core import clock
from flowforge.engine import timers
from flowforge.projects.models import Project
from runs.models import Run
from runs.services import Origin, Started, StartItem, cancel_run, start_runs
from runs.services.ordering import change_priority, run_now
from tests.engine.conftest import Flow, effect, fresh

pytestmark = pytest.mark.django_db
MakeFlow = Callable[..., Flow]

WAIT = {"id": "wait", "type": "wait_event", "config": {"event": "go"}}


@dataclass
class Model:
    """The rule: a free place goes to the highest priority, among equals to the oldest."""

    limit: int
    waiting: dict[Run, int] = field(default_factory=dict)  # -> priority; oldest first
    begun: list[Run] = field(default_factory=list)

    def settle(self) -> None:
        while self.waiting and len(self.begun) < self.limit:
            first = max(self.waiting, key=lambda run: self.waiting[run])  # of equals the first, which is the oldest
            del self.waiting[first]
            self.begun.append(first)

    def end(self, run: Run) -> None:
        self.waiting.pop(run, None)
        if run in self.begun:
            self.begun.remove(run)

    def jump(self, run: Run) -> None:
        others = [rank for other, rank in self.waiting.items() if other != run]
        self.waiting[run] = max([self.waiting[run], *(rank + 1 for rank in others)])


def step_of_play(made: Flow, model: Model, chance: random.Random) -> None:
    """Do one thing, to the runs and to the model."""
    what = chance.choice(["start", "start", "end", "cancel", "priority", "now"])
    if what == "start":
        ranks = [chance.randrange(4) for _ in range(chance.randint(1, 4))]
        items = [StartItem(priority=rank) for rank in ranks]
        answers = start_runs(workflow=made.workflow, items=items, origin=Origin(actor="test"))
        model.waiting |= {a.run: rank for a, rank in zip(answers, ranks, strict=True) if isinstance(a, Started)}
    elif what == "end" and model.begun:
        run = chance.choice(model.begun)
        cancel_run(run_id=run.pk)
        model.end(run)
    elif what != "start" and what != "end" and model.waiting:
        run = chance.choice(list(model.waiting))
        if what == "cancel":
            cancel_run(run_id=run.pk)
            model.end(run)
        elif what == "now":
            run_now(run_id=run.pk)
            model.jump(run)
        else:
            model.waiting[run] = chance.randrange(9)
            change_priority(run_id=run.pk, priority=model.waiting[run], check=lambda: None)


@pytest.mark.parametrize("seed", range(6))
def test_it_works(flow: MakeFlow, seed: int) -> None:
    chance = random.Random(seed)
    model = Model(limit=chance.randint(1, 3))
    made = flow(nodes=[WAIT], config={"concurrency": {"limit": model.limit}})
    for _ in range(25):
        step_of_play(made, model, chance)
        made.drain(shuffle=chance, copies=chance.randint(1, 2))
        model.settle()
        has = Run.objects.filter(key_held_since__isnull=False, finished_at=None)
        assert set(has) == set(model.begun)
        assert {run: run.priority for run in Run.objects.filter(status="pending")} == model.waiting


@pytest.mark.parametrize("seed", range(3))
def test_lost_hints_cost_a_sweep_and_no_order(flow: MakeFlow, project: Project, seed: int) -> None:
    """Nobody is told of a free place, or is told at once: the sweep finds it."""
    chance = random.Random(seed)
    project.settings = {"max_concurrent_runs": 1}
    project.save(update_fields=["settings"])
    made = flow(nodes=[effect("only")])
    ranks = {made.start_with(priority=rank): rank for rank in (3, 1, 4, 1, 5)}
    made.bell.rings.clear()
    while Run.objects.filter(finished_at=None).exists():
        timers.run_once(clock.now())
        timers.alarm._queues.run_once(clock.now())
        made.bell.rings = [ring for ring in made.bell.rings if chance.random() < 0.5]
        if made.bell.rings:
            made.answer(made.bell.rings.pop())
        Run.objects.filter(wake_at__gt=clock.now(), status="pending").update(wake_at=clock.now())
    began = sorted(ranks, key=lambda run: fresh(run).started_at)
    assert [ranks[run] for run in began] == [5, 4, 3, 1, 1]
