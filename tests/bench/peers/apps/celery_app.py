"""Tasks of bare Celery, and (as a script) the caller that sends them. Runs in Celery's environment."""

import os
import time
from typing import Any

from asked import answer
from celery import Celery, chain, chord, group

app = Celery("celery_app", broker=os.environ["BENCH_BROKER_URL"], backend=os.environ["BENCH_BACKEND_URL"])
app.conf.update(result_expires=3600, broker_connection_retry_on_startup=True)
WAIT: dict[str, Any] = {"interval": 0.001, "timeout": 120}


def fib(n: int) -> int:
    return n if n < 2 else fib(n - 1) + fib(n - 2)


@app.task
def step(before: int = 0) -> int:
    return fib(10)


@app.task
def join(values: list[int]) -> int:
    return sum(values)


def chained(steps: int) -> Any:
    return chain(*(step.s() for _ in range(steps)))


def complete(steps: int) -> float:
    began = time.perf_counter()
    chained(steps).apply_async().get(**WAIT)
    return time.perf_counter() - began


def fan(width: int) -> float:
    began = time.perf_counter()
    total = chord(group(step.s() for _ in range(width)), join.s()).apply_async().get(**WAIT)
    if total != width * 55:
        raise RuntimeError(f"the join gave {total}")
    return time.perf_counter() - began


def many(runs: int, steps: int) -> float:
    began = time.perf_counter()
    for result in [chained(steps).apply_async() for _ in range(runs)]:
        result.get(**WAIT)
    return time.perf_counter() - began


if __name__ == "__main__":
    answer({"chain": complete, "fan": fan, "many": many})
