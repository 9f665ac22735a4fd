"""What is measured, and how it is driven: the same calls for FlowForge and for each peer."""

import contextlib
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, TypeVar

from tests.bench.client import Connection
from tests.bench.peers.environment import Recipe
from tests.bench.processes import Processes
from tests.bench.services import Services

CALLERS = 8

C = TypeVar("C", bound=Connection)


class CannotDo(Exception):
    """This system has nothing like it; the message says so in a few words."""


@dataclass(frozen=True, kw_only=True)
class Sizes:
    """How much of each workload is done in a round. Peers that would take hours do less: rates are compared."""

    chains: int = 3  # W1: so many times
    chain: int = 40  # W1: steps
    runs: int = 200  # W2: runs …
    steps: int = 5  # … of so many steps
    width: int = 1000  # W3: parallel steps
    singles: int = 30  # W4: calls
    reads: int = 400  # W5: calls of each kind
    settle: float = 1.0  # W6: seconds of rest before the memory is read
    warm_up: bool = True  # W1, W3: do each once before it is measured


@dataclass(frozen=True, kw_only=True)
class Reading:
    """How callers ask for one run, and for a list of 50."""

    connect: Callable[[], Connection]
    one: Callable[[Connection], object]
    fifty: Callable[[Connection], object]


def timed_spread(calls: int, connect: Callable[[], C], call: Callable[[C], object]) -> tuple[float, list[Any]]:
    """Make the calls from several callers, each with a connection of its own: seconds, and the answers."""

    def caller(count: int) -> list[Any]:
        with contextlib.closing(connect()) as connection:
            return [call(connection) for _ in range(count)]

    shares = [calls // CALLERS + (place < calls % CALLERS) for place in range(CALLERS)]
    began = time.perf_counter()
    with ThreadPoolExecutor(CALLERS) as pool:
        answers = [answer for found in pool.map(caller, shares) for answer in found]
    return time.perf_counter() - began, answers


class Driver(ABC):
    """A running system. The methods that run something give seconds, from the first call to the last run's end."""

    def __init__(self, processes: Processes, start_seconds: float) -> None:
        self.processes = processes
        self.start_seconds = start_seconds  # from the command to the first answer

    @abstractmethod
    def chain(self, steps: int) -> float:
        """One run: so many trivial steps, one after the other."""

    @abstractmethod
    def many(self, runs: int, steps: int) -> float:
        """So many runs of a chain, each started by a call of its own."""

    def fan(self, width: int) -> float:
        """One run: so many parallel steps and a join."""
        raise CannotDo("no parallel steps")

    def batch(self, runs: int, steps: int) -> float:
        """The same as `many`, started by one call."""
        raise CannotDo("no batch start")

    def reading(self) -> Reading:
        raise CannotDo("no API to read runs")


class System(ABC):
    """One column of the figures: how it is installed, prepared once, and started as often as it is measured."""

    name: ClassVar[str]  # `dbos-sqlite`
    title: ClassVar[str]  # `DBOS, SQLite`
    durability: ClassVar[str]  # what is on disk when
    driven: ClassVar[str]  # by what calls
    bound: ClassVar[str | None] = None  # which physical limit holds for its steps: `sqlite`, `postgres`, `file`
    stack: ClassVar[str | None] = None  # `sqlite`, `postgres`: which database it uses, where there is a choice
    sizes: ClassVar[Sizes] = Sizes()
    rounds: ClassVar[int] = 100  # at most
    environment: ClassVar[str] = ""  # name of its environment; none: ours
    recipe: ClassVar[Recipe | None] = None

    def __init__(self, folder: Path, services: Services) -> None:
        self.folder = folder  # its data, kept from one start to the next
        self.services = services

    def prepare(self) -> None:
        """Once, before the first round: the databases are made, the first start (always a slow one) is over."""
        with self.running():
            pass

    @abstractmethod
    def running(self) -> AbstractContextManager[Driver]:
        """The system, started; ended on leaving."""

    @classmethod
    @abstractmethod
    def version(cls) -> str:
        """What is installed."""
