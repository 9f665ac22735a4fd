"""Bare Celery on Valkey: tasks chained by their messages. No state of a run is kept, nothing is durable: a ceiling."""

import contextlib
import time
from collections.abc import Iterator

from tests.bench.peers.asking import APPS, Asked, AskingDriver
from tests.bench.peers.environment import Recipe, python_of, versions
from tests.bench.processes import environment, processes
from tests.bench.systems import Driver, System

WORKER = ("worker", "--pool", "prefork", "--concurrency", "2", "--loglevel", "warning", "--without-gossip")


class Celery(System):
    name = environment = "celery"
    title = "Celery, bare"
    recipe = Recipe(python=("celery[redis]==5.7.0", "redis==8.1.0", "packaging"))
    durability = "none: messages and results in Valkey's memory, no state of a run; two worker processes"
    driven = "its library, from one caller"

    @classmethod
    def version(cls) -> str:
        return versions("celery", "celery", "redis")

    def prepare(self) -> None:
        self.variables = environment(BENCH_BROKER_URL=self.services.broker(), BENCH_BACKEND_URL=self.services.broker())
        super().prepare()

    @contextlib.contextmanager
    def running(self) -> Iterator[Driver]:
        python = python_of("celery")
        with processes(self.folder / "log") as caller, processes(self.folder / "log") as alive:
            asked = Asked(caller, python, "celery_app.py", self.variables, APPS)
            began = time.perf_counter()
            alive.start([python, "-m", "celery", "-A", "celery_app", *WORKER], self.variables, APPS)
            asked.ask("chain", 1)
            yield AskingDriver(asked, alive, time.perf_counter() - began)
