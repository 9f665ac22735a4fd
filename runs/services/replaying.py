"""Replaying a run: a new one like it, from its beginning or from a node."""

import uuid
from collections.abc import Iterator, Mapping

from django.db import transaction

from flowforge.core import clock
from flowforge.core.errors import Fault, InvalidBody, NotFound
from flowforge.core.ids import step_id
from flowforge.core.json import Json
from flowforge.kernel.definition import Definition
from flowforge.kernel.retaking import downstream
from runs import transitions
from runs.models import Run, StepRun
from runs.selectors import version_id_of
from runs.services.start import Started, Trigger, start_run
from workflows.selectors import definition_of

_READ_AT_ONCE = 200  # steps: each may have an output of a mebibyte
_TAKEN = ("node_id", "inputs", "output", "branch", "sanitized")


def replay_run(
    *,
    run_id: uuid.UUID,
    caller_actor: str,
    inputs: Mapping[str, Json] | None = None,
    from_node: str | None = None,
    version: int | None = None,
) -> Started:
    """Start a run like another: its inputs unless others are given, its version unless another is named.

    With `from_node`, what is not downstream of that node and completed in the original, as a step of the same type,
    is taken over with its outputs; all else runs. Raises NotFound, InvalidBody (422) for a node or version that is
    not there and for inputs that don't fit, Conflict if the workflow or its project takes no runs.
    """
    original = Run.objects.select_related("workflow__project").filter(id=run_id).first()
    if original is None:
        raise NotFound(detail="There is no such run.")
    number = original.workflow_version if version is None else version
    definition = _definition(original, number)
    if from_node is not None and from_node not in definition.by_id:
        raise _unknown("/from_node", f"Version {number} has no node {from_node!r}.")
    with transaction.atomic():
        started = start_run(
            workflow=original.workflow,
            version=number,
            inputs=original.inputs if inputs is None else inputs,
            metadata=original.metadata,
            priority=original.priority,
            caller_actor=caller_actor,
            trigger=Trigger(type="replay", id=str(original.id)),
            replay_of=original,
        )
        if from_node is not None and started.created:
            steps = _completed_before(original, started.run, definition, from_node)
            transitions.take_over(started.run, steps, now=clock.now())
    return started


def _definition(original: Run, number: int) -> Definition:
    try:
        return definition_of(version_id_of(original.workflow_id, number))
    except NotFound as error:
        raise _unknown("/version", error.detail) from None


def _completed_before(original: Run, new: Run, definition: Definition, from_node: str) -> Iterator[StepRun]:
    """The steps that `new` need not do."""
    before = definition_of(original.version_id).by_id
    after = downstream(definition, [from_node])
    kept = {
        node.id: node
        for node in definition.nodes
        if node.id not in after and node.id in before and before[node.id].type == node.type
    }
    rows = StepRun.objects.filter(run_id=original.id, index=-1, status="completed").order_by("position")
    for row in rows.only(*_TAKEN).iterator(chunk_size=_READ_AT_ONCE):
        node = kept.get(row.node_id)
        if node is not None:
            yield StepRun(
                id=step_id(new.id, node.id),
                position=node.position,
                max_attempts=node.retry.max_attempts,
                priority=node.priority,
                **{name: getattr(row, name) for name in _TAKEN},
            )


def _unknown(pointer: str, detail: str) -> InvalidBody:
    return InvalidBody(faults=[Fault(pointer=pointer, code="not_found", detail=detail)])
