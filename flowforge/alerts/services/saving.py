"""Creating, changing and removing alerts. A change is judged at the next look, which is due at once."""

import math
import uuid
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any, Final

from django.db import transaction

from flowforge.alerts import constants
from flowforge.alerts.models import Alert
from flowforge.api.caller import Caller
from flowforge.core import clock
from flowforge.core.errors import Fault, InvalidBody, NotFound
from flowforge.kernel import durations
from flowforge.projects.models import Project
from flowforge.projects.selectors import require_active
from workflows.models import Workflow

Precondition = Callable[[Alert], None]
"""Called under the lock with the alert that is about to change; raises to stop (If-Match)."""

_PLAIN: Final = ("name", "metric", "operator", "threshold", "window", "severity", "enabled")


def create_alert(*, project: Project, caller: Caller, given: Mapping[str, Any]) -> Alert:
    """An alert of the project. `given`: fields of the contract. Raises InvalidBody (422) with all faults."""
    now = clock.now()
    alert = Alert(project=project, created_by=caller.actor, created_at=now, updated_at=now, next_check_at=now)
    if given.get("threshold") is None and given["metric"] != constants.NO_RUN:
        raise InvalidBody(faults=[Fault(pointer="/threshold", code="required", detail="This field is required.")])
    _apply(alert, given)
    alert.save(force_insert=True)
    return alert


@transaction.atomic
def update_alert(*, alert_id: uuid.UUID, given: Mapping[str, Any], precondition: Precondition | None = None) -> Alert:
    """Change what is given. Switched off, it is `ok` and tells nobody.

    Raises InvalidBody (422), NotFound, Conflict (409) in an archived project, and what `precondition` raises.
    """
    alert = _lock(alert_id, precondition)
    require_active(alert.project)
    _apply(alert, given)
    if not alert.enabled:
        alert.state = constants.OK
    alert.updated_at = alert.next_check_at = clock.now()
    alert.error_count, alert.error = 0, ""
    alert.save()
    return alert


@transaction.atomic
def delete_alert(*, alert_id: uuid.UUID, precondition: Precondition | None = None) -> None:
    _lock(alert_id, precondition).delete()


def _apply(alert: Alert, given: Mapping[str, Any]) -> None:
    """Raises InvalidBody (422) with all faults of the whole."""
    faults = []
    if "workflow_id" in given:
        alert.workflow_id = given["workflow_id"]
        if alert.workflow_id is not None and not _has(alert.project_id, alert.workflow_id):
            faults.append(Fault(pointer="/workflow_id", code="not_found", detail="There is no such workflow."))
    for name in _PLAIN:
        if given.get(name) is not None:
            setattr(alert, name, given[name])
    faults += _threshold(alert, given) + _window(alert)
    if faults:
        raise InvalidBody(faults=faults)


def _has(project_id: uuid.UUID, workflow_id: uuid.UUID) -> bool:
    return Workflow.objects.filter(pk=workflow_id, project_id=project_id).exists()


def _threshold(alert: Alert, given: Mapping[str, Any]) -> list[Fault]:
    """A number; of what lasts a duration, too, which becomes seconds."""
    written = given.get("threshold", alert.threshold)
    if written is None:
        return []
    try:
        if isinstance(written, str) and alert.metric not in constants.DURATIONS:
            raise ValueError("a number is expected")
        alert.threshold = durations.parse(written) if isinstance(written, str) else float(written)
    except (ValueError, OverflowError) as error:
        return [Fault(pointer="/threshold", code="invalid", detail=str(error))]
    if not math.isfinite(alert.threshold) or alert.threshold < 0:
        return [Fault(pointer="/threshold", code="invalid", detail="a threshold is not negative")]
    if alert.metric == constants.FAILURE_RATE and alert.threshold > 1:
        return [Fault(pointer="/threshold", code="max_value", detail="a rate is a share: from 0 to 1")]
    if alert.metric == constants.CONSECUTIVE_FAILURES and alert.threshold > constants.MAX_RUNS:
        return [Fault(pointer="/threshold", code="max_value", detail=f"at most {constants.MAX_RUNS}")]
    return []


def _window(alert: Alert) -> list[Fault]:
    window = timedelta(seconds=durations.parse(alert.window))
    if constants.MIN_WINDOW <= window <= constants.MAX_WINDOW:
        return []
    return [Fault(pointer="/window", code="out_of_range", detail="a window has from 1s to 31d")]


def _lock(alert_id: uuid.UUID, precondition: Precondition | None) -> Alert:
    rows = Alert.objects.select_related("project").filter(pk=alert_id)
    alert = rows.select_for_update(of=("self",)).first()
    if alert is None:
        raise NotFound
    if precondition is not None:
        precondition(alert)
    return alert
