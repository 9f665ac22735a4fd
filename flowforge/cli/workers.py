"""What a worker process runs: Celery consumers for its pools, the keeper and the timers."""

import logging
import os
import socket
import sys
import threading
import time
import uuid
from collections.abc import Mapping
from functools import partial
from typing import Any

from celery.worker import WorkController
from celery.worker import state as celery_state
from django.conf import settings

from flowforge.celery import create_app
from flowforge.cli.chores import Chores
from flowforge.cli.consumer import PoolConsumer
from flowforge.cli.idle import IdleThreads
from flowforge.core import bell, clock, inproc
from flowforge.core.failpoints import failpoint
from flowforge.engine import pools, tasks
from flowforge.engine.convoy import MAX_RIDERS
from flowforge.engine.drivers import drivers
from flowforge.engine.isolation import found_here
from flowforge.engine.keeper import keeper
from flowforge.engine.presence import presence
from flowforge.engine.store import maintenance
from flowforge.engine.timers import alarm
from flowforge.schedules.clockwork import Clockwork
from flowforge.steps.process import protect_this_process
from webhooks.deliverer import deliverer

log = logging.getLogger("flowforge.worker")


SWITCH_SECONDS = 0.0005  # how long a thread may keep the interpreter while others want it: many wait on each other
HINTS_KEPT = 64  # that wait for this process's drivers: more are left to other processes
HINTS_KEPT_ALONE = 10_000
LAST_HINTS_SECONDS = 1.0  # for those that wait when the process ends
RESCUERS = 2  # threads for steps of a queue that nobody has come for: what carries hints may carry none


class Workers:
    """The engine's threads in this process. `start`, then `stop` once.

    `alone`: no other process works on this database. Then a hint that an idle thread here can answer takes no way
    through the broker.
    """

    def __init__(self, threads: Mapping[str, int], *, alone: bool = False) -> None:
        self._threads = threads  # queue -> number
        self._alone = alone
        self._idle: dict[str, IdleThreads] = {}
        self._driving: IdleThreads | None = None
        self._runners: list[threading.Thread] = []
        self._controllers: dict[str, WorkController] = {}
        self._clockwork = Clockwork()
        self._chores = Chores()

    def start(self) -> None:
        """Returns when every pool listens."""
        protect_this_process()
        level = self._isolation()
        os.environ.setdefault("CELERY_SKIP_CHECKS", "1")  # Django's checks have run with the command
        clock.set_offset(maintenance.clock_offset())
        sys.setswitchinterval(SWITCH_SECONDS)
        pools.open_slots(self._threads)
        keeper.start()
        alarm.start()
        if "default" in self._threads:  # where steps call other systems, webhooks are sent as well
            deliverer.start()
            bell.listen_for_deliveries(deliverer.ring)
        self._clockwork.start()
        self._chores.start()
        self._start_drivers(self._threads.get(bell.CONTROL_QUEUE, 0))
        self._idle = {
            name: IdleThreads(count if self._alone else min(count, RESCUERS), f"idle-{name}")
            for name, count in self._threads.items()
            if name != bell.CONTROL_QUEUE
        }
        pools.grow_by(self._grow)
        bell.rescue_here(self._rescue)
        if self._alone:
            bell.answer_here(self._answer)
        ready = [threading.Event() for _ in self._threads]
        for (queue, count), event in zip(self._threads.items(), ready, strict=True):
            self._start_pool(queue, count, event)
        for event in ready:
            if not event.wait(timeout=30):
                log.warning("a worker pool is not ready yet: is the broker reachable?")
        presence.open(self._threads, isolation=level)

    def _isolation(self) -> str:
        """The level at which steps are isolated here. A wish that this machine cannot fulfil ends the start."""
        try:
            found = found_here()
        except ValueError as error:
            raise SystemExit(f"FLOWFORGE_ISOLATION: {error}") from None
        for level, reason in found.refused.items():
            log.warning("steps are isolated by %s, not by %s: %s (docs/isolation.md)", found.level, level, reason)
        return found.level

    def stop(self, grace_seconds: float) -> None:
        """Claim nothing more, let steps finish for `grace_seconds`, hand back what still runs then."""
        pools.draining.set()
        failpoint("drain.begun")
        presence.drain(keeper.began)
        alarm.stop()
        self._clockwork.stop()
        self._chores.stop()
        _wait_for_executions(grace_seconds)
        keeper.cancel_all("drain")
        deliverer.stop(0.5)
        _wait_for_executions(5.0)
        celery_state.should_stop = True  # type: ignore[assignment]  # the stubs know its first value alone
        inproc.close()
        for runner in self._runners:
            runner.join(timeout=5)
        for idle in (self._driving, *self._idle.values()):
            if idle is not None:
                idle.stop()
        keeper.stop()
        bell.flush(LAST_HINTS_SECONDS)
        presence.close()
        pools.grow_by(None)

    def leave(self) -> None:
        """After `stop`, the process's last act: Python would wait for threads that sit in abandoned steps."""
        if keeper.abandoned_count:
            logging.shutdown()
            sys.stdout.flush()
            os._exit(0)

    def _grow(self, queue: str) -> None:
        """One thread more, for one that sits in an abandoned step. The slots say how many work at a time."""
        if queue in self._idle:
            self._idle[queue].grow()
        if queue in self._controllers:
            pool: Any = self._controllers[queue].pool  # Celery's threads: its class has no method for this
            pool.executor._max_workers += 1  # it starts threads as calls come, up to this

    def _start_drivers(self, count: int) -> None:
        """Most of their threads are for those that sit in long steps, and for a whole convoy of steps that were short
        and all hang: `count` drive at a time."""
        if count:
            self._driving = IdleThreads(count * (pools.PARKED_FOR_EACH + MAX_RIDERS), "driver")
            room = HINTS_KEPT_ALONE if self._alone else HINTS_KEPT
            drivers.start(self._driving.offer, most=count, room=room)

    def _rescue(self, task: str, args: list[str], queue: str, first: bool) -> bool:
        if first and task == bell.DRIVE and not pools.draining.is_set():
            return all(drivers.hint_first(uuid.UUID(run_id)) for run_id in args)
        return self._answer(task, args, queue)

    def _answer(self, task: str, args: list[str], queue: str) -> bool:
        if pools.draining.is_set():
            return False
        if task == bell.DRIVE:
            return self._driving is not None and all(drivers.hint(uuid.UUID(run_id)) for run_id in args)
        idle = self._idle.get(queue)
        return idle is not None and not pools.is_full(queue) and idle.offer(partial(tasks.work, *args))

    def _start_pool(self, queue: str, count: int, ready: threading.Event) -> None:
        controller = WorkController(
            app=create_app(f"flowforge-{queue}"),
            hostname=f"{queue}-{os.getpid()}@{socket.gethostname()}",
            pool="threads",
            pool_cls="threads",
            concurrency=1 if queue == bell.CONTROL_QUEUE else count,  # hints are passed on: `drivers` has the threads
            queues=[queue],
            consumer_cls=PoolConsumer,
            use_eventloop=False,  # Celery's hub is one a process, and these are several pools
            without_heartbeat=True,
            without_mingle=True,
            without_gossip=True,
            ready_callback=lambda _: ready.set(),
            loglevel=settings.LOGGING["root"]["level"],
        )
        self._controllers[queue] = controller
        runner = threading.Thread(target=controller.start, name=f"pool-{queue}", daemon=True)
        runner.start()
        self._runners.append(runner)


def _wait_for_executions(seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while keeper.executions and time.monotonic() < deadline:
        time.sleep(0.02)
