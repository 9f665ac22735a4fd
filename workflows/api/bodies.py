"""Bodies that hold a definition: what is wrong beside it hides nothing of what is wrong within."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from rest_framework.request import Request

from flowforge.api.serializers import body
from flowforge.core.errors import Fault, InvalidBody
from flowforge.core.json import Json
from workflows.api.serializers import DefinitionBody
from workflows.services.forms import Written, read

Check = Callable[[Written], object]
"""Raises InvalidBody with what is wrong with a definition."""


def body_with_definition(
    serializer_class: type[DefinitionBody], request: Request, check: Check, *, partial: bool = False
) -> dict[str, Any]:
    """The validated body, its definition not checked yet.

    Raises InvalidBody (422); then with the faults of its definition, which `check` finds, beside its own.
    """
    try:
        return body(serializer_class, request, partial=partial)
    except InvalidBody as error:
        error.faults = [*error.faults, *_within(request.data, check, error.faults)]
        raise


def _within(data: Json, check: Check, told: Sequence[Fault]) -> list[Fault]:
    """The faults of the definition in a body, without those at a place that has one already."""
    if not isinstance(data, Mapping):
        return []
    try:
        check(read(data))
    except InvalidBody as error:
        places = {fault.pointer for fault in told}
        return [fault for fault in error.faults if fault.pointer not in places]
    return []
