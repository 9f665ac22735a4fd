"""What a look at one part of FlowForge says, and what follows for the whole."""

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from time import perf_counter
from typing import Final, Literal

Status = Literal["HEALTHY", "DEGRADED", "UNHEALTHY"]
STATUSES: Final[tuple[Status, ...]] = ("HEALTHY", "DEGRADED", "UNHEALTHY")  # the worst last
MAX_SECONDS: Final = 2.0  # a look takes no longer
_LOOKS_AT_ONCE: Final = 4

_threads = ThreadPoolExecutor(_LOOKS_AT_ONCE, thread_name_prefix="health")
"""Few, so that looks which hang do not pile up: the next ones wait behind them, and are told as too slow."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Verdict:
    """What a look found."""

    status: Status
    detail: str  # for people; nothing that another project's members should not know


@dataclass(frozen=True, kw_only=True, slots=True)
class Component:
    """A part, as the health answer shows it."""

    name: str
    status: Status
    latency: float  # milliseconds that the look took
    detail: str


def look(name: str, check: Callable[[], Verdict]) -> Component:
    """Check here and now. For what bounds itself; whatever goes wrong is a part that is not well."""
    began = perf_counter()
    try:
        found = check()
    except Exception as error:  # noqa: BLE001  a health answer that fails would say less than any
        found = Verdict(status="UNHEALTHY", detail=f"It does not answer ({type(error).__name__}).")
    return Component(name=name, status=found.status, latency=_since(began), detail=found.detail)


def look_within(name: str, check: Callable[[], Verdict], seconds: float = MAX_SECONDS) -> Callable[[], Component]:
    """Begin to check in a thread of its own; what is returned waits for the end, no longer than `seconds` from now."""
    began = perf_counter()
    begun = _threads.submit(look, name, check)

    def wait() -> Component:
        try:
            return begun.result(timeout=max(0.0, seconds - (perf_counter() - began)))
        except TimeoutError:
            begun.cancel()
            detail = f"No answer within {seconds:g} s."
            return Component(name=name, status="UNHEALTHY", latency=_since(began), detail=detail)

    return wait


def worst(statuses: Iterable[Status]) -> Status:
    return max(statuses, key=STATUSES.index, default="HEALTHY")


def _since(began: float) -> float:
    return round((perf_counter() - began) * 1000, 3)
