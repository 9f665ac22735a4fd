"""What holds of validation for any document."""

import time
from typing import Any

import pytest
from hypothesis import given, settings

from flowforge.core import pointers
from flowforge.core.json import dumps, loads
from flowforge.kernel.document import load
from flowforge.kernel.validation import validate
from tests.support.definitions import CATALOGUE, JSON, LOOSE_DOCUMENTS, definitions


@given(definitions())
def test_it_works_for_every_valid_definition(document: dict[str, Any]) -> None:
    found = validate(document, CATALOGUE)
    assert found.errors == []
    assert found.document is not None
    assert load(loads(dumps(found.document))) == found.definition
    again = validate(found.document, CATALOGUE)
    assert (again.document, again.definition) == (found.document, found.definition)


@given(JSON)
def test_it_rejects_or_accepts_any_json_without_raising(document: Any) -> None:
    found = validate(document, CATALOGUE)
    assert bool(found.errors) == (found.definition is None) == (found.document is None)


@settings(max_examples=400)
@given(LOOSE_DOCUMENTS)
def test_every_pointer_names_a_member_or_one_that_is_missing(document: dict[str, Any]) -> None:
    found = validate(document, CATALOGUE)
    for fault in found.errors:
        assert fault.detail
        assert is_findable(document, fault.pointer), fault
    assert len({(fault.pointer, fault.code) for fault in found.errors}) == len(found.errors)


@given(definitions(max_nodes=6), LOOSE_DOCUMENTS)
def test_a_valid_definition_stays_untouched_by_what_is_checked_before(
    valid: dict[str, Any], other: dict[str, Any]
) -> None:
    before = dumps(valid)
    validate(other, CATALOGUE)
    assert validate(valid, CATALOGUE).is_valid
    assert dumps(valid) == before


def is_findable(document: Any, pointer: str) -> bool:
    """Whether `pointer` leads to a value, or to a missing member of an object that is there.

    A missing config (FlowCtl: payload) counts as an empty one: its missing members are named within it.
    """
    try:
        pointers.resolve(document, pointer)
    except KeyError:
        *path, _ = pointers.tokens(pointer)
        if path[-1:] in (["config"], ["payload"]) and not isinstance(_at(document, path), (list, str)):
            path.pop()
        return isinstance(_at(document, path), dict)
    return True


def _at(document: Any, path: list[str]) -> Any:
    try:
        return pointers.resolve(document, pointers.pointer_of(path))
    except KeyError:
        return None


def chain(length: int) -> dict[str, Any]:
    nodes = [
        {
            "id": f"n{i}",
            "type": "transform",
            "config": {"values": {"x": f"{{{{ steps.n{max(i - 1, 0)}.output.x + {i} }}}}" if i else 0}},
        }
        for i in range(length)
    ]
    return {"nodes": nodes, "edges": [{"source": f"n{i}", "target": f"n{i + 1}"} for i in range(length - 1)]}


def fan(width: int) -> dict[str, Any]:
    ids = [f"n{i}" for i in range(width)]
    nodes = [{"id": node, "type": "transform", "config": {"x": "{{ steps.start.output }}"}} for node in ids]
    reading = [f"{{{{ steps.{node}.output }}}}" for node in ids]
    ends = [{"id": "start", "type": "transform"}, {"id": "end", "type": "transform", "config": {"all": reading}}]
    edges = [{"source": "start", "target": node} for node in ids] + [{"source": node, "target": "end"} for node in ids]
    return {"nodes": nodes + ends, "edges": edges}


@pytest.mark.parametrize("document", [chain(10_000), fan(1_000)], ids=["chain", "fan"])
def test_large_definitions_are_checked_in_bounded_time(document: dict[str, Any]) -> None:
    begun = time.process_time()
    assert validate(document, CATALOGUE).is_valid
    # ten times more than it takes: anything quadratic would need minutes
    assert time.process_time() - begun < 15
