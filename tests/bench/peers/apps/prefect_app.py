"""Prefect's flows, and the caller that runs them in its own process. Runs in Prefect's environment."""

import time
from concurrent.futures import ThreadPoolExecutor

from asked import answer
from prefect import flow, task


def fib(n: int) -> int:
    return n if n < 2 else fib(n - 1) + fib(n - 2)


@task
def step(n: int) -> int:
    return fib(n)


@flow
def chain(steps: int) -> int:
    return sum(step(10) for _ in range(steps))


@flow
def fan(width: int) -> int:
    return sum(step.map([10] * width).result())


def complete(steps: int) -> float:
    return _timed(lambda: chain(steps) == steps * 55)


def complete_fan(width: int) -> float:
    return _timed(lambda: fan(width) == width * 55)


def many(runs: int, steps: int) -> float:
    with ThreadPoolExecutor(8) as pool:
        return _timed(lambda: list(pool.map(chain, [steps] * runs)) == [steps * 55] * runs)


def _timed(work):
    began = time.perf_counter()
    if not work():
        raise RuntimeError("not the expected result")
    return time.perf_counter() - began


answer({"chain": complete, "fan": complete_fan, "many": many})
