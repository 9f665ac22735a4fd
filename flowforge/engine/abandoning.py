"""Attempts whose thread does not hear that it has to stop: a thread cannot be killed, so the keeper speaks for it."""

import random
from dataclasses import replace
from functools import partial

from flowforge.core import bell, clock
from flowforge.engine.execution import Execution
from flowforge.engine.outcomes import Result, conclude
from flowforge.engine.store import runs as run_store
from flowforge.engine.store import steps as step_store
from flowforge.engine.store.steps import Settlement
from flowforge.engine.telling import tell


def settle_abandoned(execution: Execution, result: Result, *, in_place: bool) -> None:
    """Record how the attempt ended, and let others go on with its run. May be called again if the database fails.

    `in_place`: the run's lease sits in that thread, too. What the thread still brings is void: the row has moved on.
    """
    run, now = execution.run, clock.now()
    if not result.dropped:
        row = replace(execution.row)  # the thread has the row itself
        events, cost = conclude(row, execution.node, result, now, random.random)
        settlement = Settlement(row=row, events=events, cost=cost)
        step_store.settle_steps(run.id, [settlement], now, tell=partial(tell, run))
    if in_place:
        run_store.give_back(run, now)
    bell.drive_now(run.id)
