"""Which steps a retry of a run takes up again, and what lies downstream of a node: functions of values."""

from collections import deque
from collections.abc import Iterable, Mapping
from typing import Final

from flowforge.kernel.definition import Definition, Node
from flowforge.kernel.machine import Evaluate, EvaluationFailed, fires
from flowforge.kernel.runstate import StepState

_KEPT: Final = ("completed", "failed")  # what ended of itself; a failure only if something has taken it


def taken_up(definition: Definition, steps: Mapping[str, StepState], evaluate: Evaluate) -> list[Node]:
    """The nodes of a run that has ended whose steps are to be decided anew, in the definition's order.

    These are the steps that were cancelled or never had a row, those whose failure nothing has handled, and what was
    skipped behind any of these. What completed is kept. So is a failure that was handled, with what followed from it:
    its other arm has been taken, and taking both would be no run that the definition describes.

    No edge of a node that is taken up has fired. All that has begun therefore did so because of what is kept, and the
    run goes on to where a fresh one would have come whose kept steps ended just so.
    """
    again = {node.id for node in definition.nodes if _is_to_repeat(definition, steps.get(node.id), evaluate)}
    open_ends = deque(again)
    while open_ends:
        for edge in definition.outgoing[open_ends.popleft()]:
            if edge.target not in again and steps[edge.target].status == "skipped":
                again.add(edge.target)
                open_ends.append(edge.target)
    return [node for node in definition.nodes if node.id in again]


def downstream(definition: Definition, sources: Iterable[str]) -> set[str]:
    """These nodes and all that edges lead to from them."""
    found = set(sources)
    open_ends = deque(found)
    while open_ends:
        for edge in definition.outgoing[open_ends.popleft()]:
            if edge.target not in found:
                found.add(edge.target)
                open_ends.append(edge.target)
    return found


def _is_to_repeat(definition: Definition, step: StepState | None, evaluate: Evaluate) -> bool:
    if step is None or step.status not in (*_KEPT, "skipped"):
        return True
    return step.status == "failed" and not _is_handled(definition, step, evaluate)


def _is_handled(definition: Definition, step: StepState, evaluate: Evaluate) -> bool:
    """Whether the machine found someone to take a failure: its edges give the same answers again."""
    if step.node.on_error == "continue":
        return True
    for edge in definition.outgoing[step.node.id]:
        try:
            if edge.on != "success" and fires(edge, step, evaluate):
                return True
        except EvaluationFailed:
            continue
    return False
