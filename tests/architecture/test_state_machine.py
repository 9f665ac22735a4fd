"""docs/state-machine.md: its pictures and its tables are the kernel's."""

import re
from collections.abc import Mapping

import pytest

from flowforge.kernel.states import RUN_STATUSES, RUN_TRANSITIONS, STEP_STATUSES, STEP_TRANSITIONS
from tests.support.sources import CHECKOUT

PAGE = (CHECKOUT / "docs/state-machine.md").read_text()
ARROW = re.compile(r"^ +(\w+) --> (\w+)", re.MULTILINE)
ROW = re.compile(r"^\| `(\w+)` \|[^|]*\|([^|]*)\|$", re.MULTILINE)

Transitions = Mapping[str, frozenset[str]]


def section(title: str, page: str = PAGE) -> str:
    """The page from one heading of its level to the next."""
    return page.split(f"\n## {title}\n")[1].split("\n## ")[0]


def drawn(text: str) -> set[tuple[str, str]]:
    return set(ARROW.findall(text))


def tabled(text: str) -> dict[str, frozenset[str]]:
    return {status: frozenset(re.findall(r"`(\w+)`", following)) for status, following in ROW.findall(text)}


def pairs(transitions: Transitions) -> set[tuple[str, str]]:
    return {(status, following) for status, followed in transitions.items() for following in followed}


def test_it_works() -> None:
    text = "\n## A\n    [*] --> a: x\n    a --> b: x\n    b --> [*]\n| `a` | is | `b` |\n| `b` | ends | |\n## B\n"
    assert drawn(section("A", text)) == {("a", "b")}
    assert tabled(section("A", text)) == {"a": frozenset({"b"}), "b": frozenset()}


@pytest.mark.parametrize(("title", "transitions"), [("The run", RUN_TRANSITIONS), ("The step", STEP_TRANSITIONS)])
def test_the_picture_has_every_transition(title: str, transitions: Transitions) -> None:
    assert drawn(section(title)) == pairs(transitions)


@pytest.mark.parametrize(("title", "transitions"), [("The run", RUN_TRANSITIONS), ("The step", STEP_TRANSITIONS)])
def test_the_table_has_every_transition(title: str, transitions: Transitions) -> None:
    assert tabled(section(title)) == transitions


@pytest.mark.parametrize(
    ("statuses", "transitions"), [(RUN_STATUSES, RUN_TRANSITIONS), (STEP_STATUSES, STEP_TRANSITIONS)]
)
def test_the_table_knows_every_status(statuses: tuple[str, ...], transitions: Transitions) -> None:
    assert tuple(transitions) == statuses
    assert set().union(*transitions.values()) <= set(statuses)
