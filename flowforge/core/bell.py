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
from django.conf import settings
from django.db import transaction

from flowforge.core.failpoints import failpoint
from flowforge.core.ringer import Ringer

DRIVE = "flowforge.engine.drive"
WORK = "flowforge.engine.work"
DELIVER = "webhooks.deliver"
CONTROL_QUEUE = "control"
EXPIRES_SECONDS = 60
DELIVERIES_RING_SECONDS = 0.2
AWAY_SECONDS = 1.0
CONFIRM_SECONDS = 1.0
RUNS_IN_A_HINT = 32  # as many as one thread drives at a time

log = logging.getLogger("flowforge.bell")

LAST_CHANCE = "last_chance"  # a third argument of WORK

Answer = Callable[[str, list[str], str], bool]
"""Takes a hint (task name, arguments, queue) in this process; False if it cannot now."""

Rescue = Callable[[str, list[str], str, bool], bool]
"""Likewise; the last says whether it goes before all that has not begun."""

_OVERDUE_KEPT = 1_000

_listeners: list[Callable[[uuid.UUID], None]] = []
_answer_here: list[Answer] = []
_rescuers: list[Rescue] = []
_overdue: OrderedDict[uuid.UUID, None] = OrderedDict()  # runs whose hints may have been lost, the newest last
_overdue_lock = threading.Lock()
_deliverers: list[Callable[[], None]] = []
_delivery_rung_at = _away_until = 0.0


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


def drive_overdue(*run_ids: uuid.UUID, first: bool = False) -> None:
    """Hint runs whose moment has passed: for the sweep.

    Perhaps they were hinted and nobody came. So this process answers by itself if it can, and so it does with one hint
    of each run's steps: runs end though the broker may carry nothing at all. `first`: they are under way, somebody may
    have died over them, and they must not stand in line behind those that are yet to begin.
    """
    note_overdue(*run_ids)
    drive_now(*(run_id for run_id in run_ids if not _rescued(DRIVE, [str(run_id)], CONTROL_QUEUE, first)))


def note_overdue(*run_ids: uuid.UUID) -> None:
    """Nobody has come for these, or for their steps: what is hinted of them from now on, this process may answer."""
    with _overdue_lock:
        for run_id in run_ids:
            _overdue[run_id] = None
            _overdue.move_to_end(run_id)
        while len(_overdue) > _OVERDUE_KEPT:
            _overdue.popitem(last=False)


def work_now(run_id: uuid.UUID, queue: str, count: int = 1, *, last_chance: bool = False) -> None:
    """Hint `count` workers of a queue that this run has steps to claim; `last_chance`: those that may be lost no more,
    which are claimed one at a time."""
    args = [str(run_id), queue, *([LAST_CHANCE] if last_chance else ())]
    if run_id in _overdue and _rescued(WORK, args, queue):
        count -= 1
    for _ in range(count):
        _send(WORK, args, queue)


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


def rescue_here(answer: Rescue) -> None:
    """Offer the hints of runs that are overdue to this process first."""
    _rescuers.append(answer)


def answer_here(answer: Answer) -> None:
    """Offer each hint (task name, arguments, queue) to this process first; it says whether it has taken it.

    For the process that is server and worker in one: an idle thread beside the ringer beats any broker.
    """
    _answer_here.append(answer)


def _rescued(name: str, args: list[str], queue: str, first: bool = False) -> bool:
    return any(answer(name, args, queue, first) for answer in _rescuers)


def _send(name: str, args: list[str], queue: str) -> None:
    if not any(answer(name, args, queue) for answer in _answer_here):
        if _rings_elsewhere():
            _ringer.put(name, args, queue)
        else:
            _send_to_broker(name, args, queue)
    failpoint("bell.after_ring")


def _rings_elsewhere() -> bool:
    """Whether a thread of its own carries hints: where those who ring hold leases, and to AMQP. A request is faster by
    itself, and a queue of this process keeps nobody waiting."""
    return not settings.EMBEDDED and (bool(_rescuers) or settings.BROKER_URL.startswith("amqp"))


def flush(seconds: float) -> bool:
    """Wait until the broker has what was rung; False if it has not after so long. For a process that ends."""
    return _ringer.flush(seconds)


def _send_to_broker(name: str, args: list[str], queue: str) -> None:
    """Whoever rings holds leases: a broker that is away may cost them seconds once, not for each hint that they ring.
    So for a moment after a failure hints are dropped at once."""
    global _away_until  # noqa: PLW0603  one process rings one bell
    if time.monotonic() < _away_until:
        return
    try:
        current_app.send_task(
            name,
            args=args,
            queue=queue,
            expires=EXPIRES_SECONDS,
            ignore_result=True,
            confirm_timeout=CONFIRM_SECONDS,  # AMQP: its client would wait for ever for a confirmation that is lost
        )
    except Exception as error:  # noqa: BLE001  whatever the broker's client raises: the sweep finds the run within a second or two
        _away_until = time.monotonic() + AWAY_SECONDS
        log.warning("bell lost, and all others for %g s: %s %s: %s", AWAY_SECONDS, name, args, error)


_ringer = Ringer(_send_to_broker)
