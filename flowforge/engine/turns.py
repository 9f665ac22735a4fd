"""A drive goes in turns: it asks for a commit, or for a step to be done, and goes on with the answer.

Whoever carries it decides how: alone, one request after the other (`carry`), or together with others, whose commits
then share a transaction (`convoy`).
"""

import time
from collections.abc import Callable, Generator
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

from django.conf import settings

from flowforge.engine import pools
from flowforge.engine.execution import Execution
from flowforge.engine.keeper import keeper
from flowforge.engine.outages import patiently
from flowforge.engine.outcomes import Result
from flowforge.engine.store import runs as run_store
from flowforge.engine.store.rows import Commit, Committed, LeaseLost

R = TypeVar("R")


@dataclass(frozen=True, slots=True, kw_only=True)
class Perform:
    """Do this step: it is started, its config is rendered, the keeper has it. The answer is its Result."""

    execution: Execution

    @property
    def is_short(self) -> bool:
        """Whether it may be done between others: steps like it were short of late."""
        return self.execution.plan.pace.is_short(self.execution.node)

    def answer(self, reliever: Callable[[], None] | None) -> Result:
        """`reliever` is called by the keeper should it turn out long."""
        with keeper.performing(self.execution, reliever):
            result = self.execution.perform()
        if self.execution.is_abandoned:  # the keeper has ended the step and let the run go
            raise LeaseLost(self.execution.run.id)
        return result


Turns = Generator[Commit | Perform, Any, R]
"""Asks, is sent the answer (of a Commit: Committed) or has thrown at it what went wrong."""


def commit(asked: Commit) -> Committed:
    """Write a round. One that tells of a step that was done outlasts an outage as long as a lease does: else the step
    would count as lost, and be done again."""
    if not _moves_a_step(asked):
        return run_store.commit(asked)
    return patiently(partial(run_store.commit, asked), until=time.monotonic() + settings.LEASE_SECONDS)


def _moves_a_step(asked: Commit) -> bool:
    """Then it can be asked twice: the second time that step is found to have moved (StaleState), and nothing is told
    again."""
    return any(step.stored not in (None, (step.status, step.lease_token)) for step in asked.steps)


def carry(turns: Turns[None]) -> None:
    """Alone, in this thread."""
    try:
        request = next(turns)
        while True:
            try:
                answer = commit(request) if isinstance(request, Commit) else request.answer(pools.slot_of_this_thread())
            except Exception as error:  # noqa: BLE001  it is the drive's: thrown where it asked
                request = turns.throw(error)
            else:
                request = turns.send(answer)
    except StopIteration:
        return
