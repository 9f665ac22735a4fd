"""Looking at alerts: which fire, which no longer do. Any number of processes may, each change of state is told once."""

import logging
import time
from datetime import datetime, timedelta
from typing import Any, Final

from django.db import transaction

from flowforge.alerts import constants, metrics, present, selectors
from flowforge.alerts.models import Alert
from flowforge.events.outbound import ALERT_TRIGGERED
from flowforge.events.services import record_event

EVERY: Final = timedelta(seconds=20)  # an alert is looked at so often
LONGEST_BREAK: Final = timedelta(hours=1)  # for one whose looks keep failing
LIMIT: Final = 500  # alerts a round
ROUND_SECONDS: Final = 20.0  # a round takes on no more after so long: the rest is for the next
_MAX_ERROR: Final = 300

log = logging.getLogger("flowforge.alerts")


def run_once(now: datetime, limit: int = LIMIT) -> int:
    """Look at what is due; says how many changes of state were told here. A bad alert stops no other."""
    began, told = time.monotonic(), 0
    for alert in selectors.due_alerts(now, limit):
        if time.monotonic() - began > ROUND_SECONDS:
            break
        if _claim(alert, now):
            told += _look(alert, now)
    return told


def _claim(alert: Alert, now: datetime) -> bool:
    """Whoever moves `next_check_at` on looks; if it dies, the next look is no later for it."""
    due = Alert.objects.filter(pk=alert.pk, next_check_at=alert.next_check_at, enabled=True)
    return due.update(next_check_at=now + EVERY) == 1


def _look(alert: Alert, now: datetime) -> bool:
    try:
        value = metrics.measure(alert, now)
        return _settle(alert, value, constants.FIRING if metrics.fires(alert, value) else constants.OK, now)
    except Exception as error:
        log.exception("alert %s cannot be judged", alert.pk)
        _put_off(alert, error, now)
        return False


@transaction.atomic
def _settle(alert: Alert, value: float | None, state: str, now: datetime) -> bool:
    """Write what was found, if anything is new; True if the state has changed. One that was edited waits its turn."""
    changes: dict[str, Any] = {"state": state, "value": value, "error_count": 0, "error": ""}
    if all(getattr(alert, name) == found for name, found in changes.items()):
        return False
    changed = state != alert.state
    if changed and state == constants.FIRING:
        changes["last_triggered_at"] = now
    same = Alert.objects.filter(pk=alert.pk, state=alert.state, updated_at=alert.updated_at, enabled=True)
    if not same.update(**changes) or not changed:
        return False
    payload = present.told(alert, state=state, value=value)
    record_event(project_id=alert.project_id, name=ALERT_TRIGGERED, payload=payload, source=f"alert:{alert.pk}")
    return True


def _put_off(alert: Alert, error: Exception, now: datetime) -> None:
    """Later each time. Its state stays: nobody knows better."""
    count = min(alert.error_count + 1, 100)
    pause = min(EVERY * 2 ** min(count, 10), LONGEST_BREAK)
    text = f"{type(error).__name__}: {error}"[:_MAX_ERROR]
    Alert.objects.filter(pk=alert.pk).update(next_check_at=now + pause, error_count=count, error=text)
