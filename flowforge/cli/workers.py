"""What a worker process runs: Celery consumers for its pools, the keeper and the timers."""

import logging
import os
import sys
import threading
import time
from collections.abc import Callable, Mapping
from functools import partial

from celery.worker import WorkController
from celery.worker import state as celery_state
from django.conf import settings

from flowforge.celery import create_app
from flowforge.cli.consumer import PoolConsumer
from flowforge.cli.idle import IdleThreads
from flowforge.core import bell, clock, inproc
from flowforge.engine import pools, tasks
from flowforge.engine.keeper import keeper
from flowforge.engine.presence import presence
from flowforge.engine.store import maintenance
from flowforge.engine.timers import alarm
from flowforge.steps.process import protect_this_process
from webhooks.deliverer import deliverer

log = logging.getLogger("flowforge.worker")


SWITCH_SECONDS = 0.0005  # how long a thread may keep the interpreter while others want it: many wait on each other
_TASKS: dict[str, Callable[..., None]] = {bell.DRIVE: tasks.drive, bell.WORK: tasks.work}


class Workers:
    """The engine's threads in this process. `start`, then `stop` once.

    `alone`: no other process works on this database. Then a hint that an idle thread here can answer takes no way
    through the broker.
    """

    def __init__(self, threads: Mapping[str, int], *, alone: bool = False) -> None:
        self._threads = threads  # queue -> number
        self._alone = alone
        self._idle: dict[str, IdleThreads] = {}
        self._runners: list[threading.Thread] = []

    def start(self) -> None:
        """Returns when every pool listens."""
        protect_this_process()
        os.environ.setdefault("CELERY_SKIP_CHECKS", "1")  # Django's checks have run with the command
        clock.set_offset(maintenance.clock_offset())
        sys.setswitchinterval(SWITCH_SECONDS)
        pools.open_slots(self._threads)
        keeper.start()
        alarm.start()
        if "default" in self._threads:  # where steps call other systems, webhooks are sent as well
            deliverer.start()
            bell.listen_for_deliveries(deliverer.ring)
        if self._alone:
            self._idle = {
                name: IdleThreads(pools.threads_for(name, count), f"idle-{name}")
                for name, count in self._threads.items()
            }
            bell.answer_here(self._answer)
        ready = [threading.Event() for _ in self._threads]
        for (queue, count), event in zip(self._threads.items(), ready, strict=True):
            self._start_pool(queue, count, event)
        for event in ready:
            if not event.wait(timeout=30):
                log.warning("a worker pool is not ready yet: is the broker reachable?")
        presence.open(self._threads, isolation="limits")

    def stop(self, grace_seconds: float) -> None:
        """Claim nothing more, let steps finish for `grace_seconds`, hand back what still runs then."""
        pools.draining.set()
        presence.drain(keeper.began)
        alarm.stop()
        _wait_for_executions(grace_seconds)
        keeper.cancel_all("drain")
        deliverer.stop(0.5)
        _wait_for_executions(5.0)
        celery_state.should_stop = True  # type: ignore[assignment]  # the stubs know its first value alone
        inproc.close()
        for runner in self._runners:
            runner.join(timeout=5)
        for idle in self._idle.values():
            idle.stop()
        keeper.stop()
        presence.close()

    def _answer(self, task: str, args: list[str], queue: str) -> bool:
        idle = self._idle.get(queue)
        if idle is None or pools.draining.is_set() or pools.is_full(queue):
            return False
        return idle.offer(partial(_TASKS[task], *args))

    def _start_pool(self, queue: str, count: int, ready: threading.Event) -> None:
        controller = WorkController(
            app=create_app(f"flowforge-{queue}"),
            hostname=f"{queue}@%h",
            pool="threads",
            pool_cls="threads",
            concurrency=pools.threads_for(queue, count),
            queues=[queue],
            consumer_cls=PoolConsumer,
            use_eventloop=False,  # Celery's hub is one a process, and these are several pools
            without_heartbeat=True,
            without_mingle=True,
            without_gossip=True,
            ready_callback=lambda _: ready.set(),
            loglevel=settings.LOGGING["root"]["level"],
        )
        runner = threading.Thread(target=controller.start, name=f"pool-{queue}", daemon=True)
        runner.start()
        self._runners.append(runner)


def _wait_for_executions(seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while keeper.executions and time.monotonic() < deadline:
        time.sleep(0.02)
