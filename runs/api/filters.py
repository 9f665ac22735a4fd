"""Filters of the listings of runs. Each parameter is a condition, made from its text alone."""

import uuid
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Final

from django.db.models import F, Q, QuerySet, Value
from django.db.models.lookups import Exact
from django.http import QueryDict
from django.utils.dateparse import parse_datetime
from django.utils.timezone import is_naive, make_aware

from flowforge.core.errors import InvalidQuery
from flowforge.kernel.states import LIVE_RUN_STATUSES, RUN_STATUSES
from runs.constants import MAX_QUERY_LENGTH
from runs.lookups import MemberText
from runs.models import Run
from runs.present import RunRow

METADATA_PREFIX: Final = "metadata."
REPEATABLE: Final = ("status",)
OF_ONE_PROJECT: Final = ("workflow_id", "project_id", "parent_run_id")  # what fits them is of one project


def filtered(runs: QuerySet[Run, RunRow], query: QueryDict) -> QuerySet[Run, RunRow]:
    """The runs that fit all filters of a query string. Raises InvalidQuery for a value that cannot be meant."""
    for name, texts in query.lists():
        if name in FILTERS:
            runs = runs.filter(FILTERS[name](name, ",".join(texts)))
        elif name.startswith(METADATA_PREFIX):
            runs = runs.filter(_metadata(name.removeprefix(METADATA_PREFIX), texts[0]))
    return runs


def metadata_names(query: Iterable[str]) -> set[str]:
    """Those names of a query string that are filters on metadata."""
    return {name for name in query if len(name) > len(METADATA_PREFIX) and name.startswith(METADATA_PREFIX)}


def _status(name: str, text: str) -> Q:
    """Several: repeated or with commas between; in any case."""
    statuses = [status.strip().lower() for status in text.split(",")]
    if not set(statuses) <= set(RUN_STATUSES):
        raise InvalidQuery(detail=f"{name} is one or several of {', '.join(RUN_STATUSES)}.")
    found = Q(status__in=statuses) if len(statuses) > 1 else Q(status=statuses[0])  # an index is for one
    if set(statuses) <= set(LIVE_RUN_STATUSES):
        found &= Q(finished_at__isnull=True)  # of those that have not ended alone: the index `run_live_listing`
    return found


def _of(column: str) -> Callable[[str, str], Q]:
    def condition(name: str, text: str) -> Q:
        try:
            return Q(**{column: uuid.UUID(text)})
        except ValueError:
            raise InvalidQuery(detail=f"{name} is not an id.") from None

    return condition


def _trigger(_name: str, text: str) -> Q:
    return Q(trigger_type=text.lower())


def _created_after(name: str, text: str) -> Q:
    return Q(created_at__gt=_moment(name, text))


def _created_before(name: str, text: str) -> Q:
    return Q(created_at__lt=_moment(name, text))


def _has_error(name: str, text: str) -> Q:
    if text.lower() not in ("true", "false"):
        raise InvalidQuery(detail=f"{name} is true or false.")
    return Q(error__isnull=text.lower() == "false")


def _q(name: str, text: str) -> Q:
    """In the workflow's name, at the beginning of the run's id, or in the error's message."""
    if not 0 < len(text) <= MAX_QUERY_LENGTH:
        raise InvalidQuery(detail=f"{name} has 1 to {MAX_QUERY_LENGTH} characters.")
    return Q(workflow__name__icontains=text) | Q(error__message__icontains=text) | _id_prefix(text)


FILTERS: Final[Mapping[str, Callable[[str, str], Q]]] = {
    "status": _status,
    "workflow_id": _of("workflow_id"),
    "project_id": _of("project_id"),
    "parent_run_id": _of("parent_run_id"),
    "trigger": _trigger,
    "created_after": _created_after,
    "created_before": _created_before,
    "has_error": _has_error,
    "q": _q,
}


def _metadata(key: str, text: str) -> Q:
    """`metadata.attempt=3` finds the number and the text, `metadata.dry=true` the boolean and the text."""
    return Q(Exact(MemberText(F("metadata"), Value(key)), text))


def _id_prefix(text: str) -> Q:
    """Ids between the prefix filled up with zeros and with ones: a range of the primary key."""
    digits = text.replace("-", "").lower()
    if not digits or len(digits) > 32 or set(digits) - set("0123456789abcdef"):
        return Q()
    return Q(id__gte=uuid.UUID(digits.ljust(32, "0")), id__lte=uuid.UUID(digits.ljust(32, "f")))


def _moment(name: str, text: str) -> datetime:
    """RFC 3339; without an offset it is UTC. A `+` that the query string turned into a space is meant as `+`."""
    try:
        moment = parse_datetime(text.strip().replace(" ", "+" if "T" in text else "T"))
    except ValueError:
        moment = None
    if moment is None:
        raise InvalidQuery(detail=f"{name} is a moment such as 2026-01-01T12:00:00Z.")
    return make_aware(moment) if is_naive(moment) else moment
