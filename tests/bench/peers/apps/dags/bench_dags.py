"""Airflow's graphs: chains of the lengths that are measured, and a mapped fan."""

from datetime import datetime

from airflow.sdk import DAG, task

COMMON = {"schedule": None, "start_date": datetime(2024, 1, 1), "catchup": False, "is_paused_upon_creation": False}


def fib(n):
    return n if n < 2 else fib(n - 1) + fib(n - 2)


def chain(steps):
    with DAG(f"chain{steps}", max_active_runs=1000, **COMMON):
        before = None
        for place in range(steps):

            @task(task_id=f"s{place}")
            def step():
                return fib(10)

            this = step()
            if before is not None:
                before >> this
            before = this


for length in (1, 5, 40):
    chain(length)

with DAG("fan", **COMMON):

    @task
    def numbers(params=None):
        return [10] * int((params or {}).get("width", 100))

    @task
    def leaf(n):
        return fib(n)

    @task
    def join(values):
        return sum(values)

    join(leaf.expand(n=numbers()))
