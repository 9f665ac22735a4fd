"""The bell: a Celery message that says "look at this run" (or these). It may be lost, doubled or late without harm.

The web rings by name and on commit; it never imports the engine. Messages expire: a stale hint is useless.
"""

import logging
import threading
import time
import uuid
from collections import OrderedDict
from collections.abc import Callable

from celery import current_app
from django.db import transaction

from flowforge.core.failpoints import failpoint

DRIVE = "flowforge.engine.drive"
WORK = "flowforge.engine.work"
DELIVER = "webhooks.deliver"
CONTROL_QUEUE = "control"
EXPIRES_SECONDS = 60
DELIVERIES_RING_SECONDS = 0.2
RUNS_IN_A_HINT = 32  # as many as one thread drives at a time

log = logging.getLogger("flowforge.bell")

Answer = Callable[[str, list[str], str], bool]
"""Takes a hint (task name, arguments, queue) in this process; False if it cannot now."""

_OVERDUE_KEPT = 1_000

_listeners: list[Callable[[uuid.UUID], None]] = []
_answer_here: list[Answer] = []
_rescuers: list[Answer] = []
_overdue: OrderedDict[uuid.UUID, None] = OrderedDict()  # runs whose hints may have been lost, the newest last
_overdue_lock = threading.Lock()
_deliverers: list[Callable[[], None]] = []
_delivery_rung_at = 0.0


def drive(*run_ids: uuid.UUID) -> None:
    """Hint that runs have something to decide, once the current transaction is committed."""
    transaction.on_commit(lambda: drive_now(*run_ids))


def drive_now(*run_ids: uuid.UUID) -> None:
    """Hint at once: for callers that have committed already."""
    failpoint("bell.before_ring")
    for run_id in run_ids:
        for listener in _listeners:
            listener(run_id)
    for first in range(0, len(run_ids), RUNS_IN_A_HINT):
        _send(DRIVE, [str(run_id) for run_id in run_ids[first : first + RUNS_IN_A_HINT]], CONTROL_QUEUE)


def drive_overdue(*run_ids: uuid.UUID) -> None:
    """Hint runs whose moment has passed: for the sweep.

    Perhaps they were hinted and nobody came. So this process answers by itself if it can, and so it does with one hint
    of each run's steps: runs end though the broker may carry nothing at all.
    """
    with _overdue_lock:
        for run_id in run_ids:
            _overdue[run_id] = None
            _overdue.move_to_end(run_id)
        while len(_overdue) > _OVERDUE_KEPT:
            _overdue.popitem(last=False)
    drive_now(*(run_id for run_id in run_ids if not _rescued(DRIVE, [str(run_id)], CONTROL_QUEUE)))


def work_now(run_id: uuid.UUID, queue: str, count: int = 1) -> None:
    """Hint `count` workers of a queue that this run has steps to claim."""
    if run_id in _overdue and _rescued(WORK, [str(run_id), queue], queue):
        count -= 1
    for _ in range(count):
        _send(WORK, [str(run_id), queue], queue)


def deliver() -> None:
    """Hint that there are webhooks to be sent, once the current transaction is committed."""
    transaction.on_commit(_deliver_now)


def listen_for_deliveries(listener: Callable[[], None]) -> None:
    """Be told of those hints: this process sends webhooks, and none of them takes the way through the broker."""
    _deliverers.append(listener)


def _deliver_now() -> None:
    """A hint wakes whoever hears it for all that is due: elsewhere one in a while is enough."""
    global _delivery_rung_at  # noqa: PLW0603  one process rings one bell
    if _deliverers:
        for listener in _deliverers:
            listener()
    elif time.monotonic() - _delivery_rung_at >= DELIVERIES_RING_SECONDS:
        _delivery_rung_at = time.monotonic()
        _send(DELIVER, [], CONTROL_QUEUE)


def listen(listener: Callable[[uuid.UUID], None]) -> None:
    """Be told of each hint rung in this process (the engine wakes what it runs here without the broker's delay)."""
    _listeners.append(listener)


def rescue_here(answer: Answer) -> None:
    """Offer the hints of runs that are overdue to this process first."""
    _rescuers.append(answer)


def answer_here(answer: Answer) -> None:
    """Offer each hint (task name, arguments, queue) to this process first; it says whether it has taken it.

    For the process that is server and worker in one: an idle thread beside the ringer beats any broker.
    """
    _answer_here.append(answer)


def _rescued(name: str, args: list[str], queue: str) -> bool:
    return any(answer(name, args, queue) for answer in _rescuers)


def _send(name: str, args: list[str], queue: str) -> None:
    if not any(answer(name, args, queue) for answer in _answer_here):
        _send_to_broker(name, args, queue)
    failpoint("bell.after_ring")


def _send_to_broker(name: str, args: list[str], queue: str) -> None:
    try:
        current_app.send_task(name, args=args, queue=queue, expires=EXPIRES_SECONDS, ignore_result=True)
    except Exception as error:  # noqa: BLE001  whatever the broker's client raises: the sweep finds the run within a second or two
        log.warning("bell lost: %s %s: %s", name, args, error)
