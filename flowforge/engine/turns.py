"""A drive goes in turns: it asks for a commit, or for a step to be done, and goes on with the answer.

Whoever carries it decides how: alone, one request after the other (`carry`), or together with others, whose commits
then share a transaction (`convoy`).
"""

from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import Any, TypeVar

from flowforge.engine import pools
from flowforge.engine.execution import Execution
from flowforge.engine.keeper import keeper
from flowforge.engine.outcomes import Result
from flowforge.engine.store import runs as run_store
from flowforge.engine.store.rows import Commit, LeaseLost

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


def carry(turns: Turns[None]) -> None:
    """Alone, in this thread."""
    try:
        request = next(turns)
        while True:
            try:
                answer = (
                    run_store.commit(request)
                    if isinstance(request, Commit)
                    else request.answer(pools.slot_of_this_thread())
                )
            except Exception as error:  # noqa: BLE001  it is the drive's: thrown where it asked
                request = turns.throw(error)
            else:
                request = turns.send(answer)
    except StopIteration:
        return
