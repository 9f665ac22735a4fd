"""Keys."""

import uuid
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flowforge.core import ids

RUN = uuid.UUID("0190a000-0000-7000-8000-000000000001")


def test_it_works_as_uuid_version_seven() -> None:
    made = [ids.new_id() for _ in range(1000)]
    assert all(one.version == 7 and one.variant == uuid.RFC_4122 for one in made)
    assert made == sorted(made)
    assert len(set(made)) == 1000


def test_a_steps_id_is_the_same_whoever_asks() -> None:
    # written into rows: a change of the formula would orphan them
    assert str(ids.step_id(RUN, "fetch")) == "0190a000-0000-720a-895c-c846117d359f"
    assert ids.step_id(RUN, "fetch", 3) == ids.step_id(RUN, "fetch", 3)


@given(st.uuids(), st.text(), st.none() | st.integers(0, 10_000))
def test_a_steps_id_has_the_shape_and_the_time_of_its_runs(run: uuid.UUID, node: str, index: int | None) -> None:
    made = ids.step_id(run, node, index)
    assert (made.version, made.variant) == (7, uuid.RFC_4122)
    assert made.int >> 80 == run.int >> 80


@pytest.mark.parametrize("nodes", [("a", "b"), ("a", "a1"), ("a-1", "a_1")])
def test_it_rejects_collisions_of_neighbours(nodes: tuple[str, str]) -> None:
    runs = (RUN, uuid.UUID(int=RUN.int + 1))
    made = [ids.step_id(run, node, index) for run, node, index in product(runs, nodes, (None, 0, 1, 10))]
    assert len(set(made)) == len(made)
