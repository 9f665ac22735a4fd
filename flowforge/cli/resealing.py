"""Sealing what is encrypted at rest with the newest key: every column of settings.SEALED, a page of rows at a time.

Can be stopped and begun again at any moment: each value is replaced by a guarded update of its own, and what somebody
changed meanwhile was sealed with the newest key by whoever changed it.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from django.apps import apps
from django.conf import settings
from django.db.models import Model

from flowforge.core.crypto import KeyRing, Unsealable, key_ring

PAGE: Final = 500


@dataclass(slots=True)
class Resealed:
    """What was found in one column."""

    place: str
    resealed: int = 0
    current: int = 0  # sealed with the newest key already
    unreadable: int = 0


def reseal(page: int = PAGE) -> Iterator[Resealed]:
    """One result a column, in the order of the settings."""
    for label, column, purpose, part in settings.SEALED:
        ring = key_ring(tuple(settings.SECRET_KEYS), purpose)
        yield _column(apps.get_model(label), column, ring, part, page)


def _column(model: type[Model], column: str, ring: KeyRing, part: str, page: int) -> Resealed:
    found = Resealed(place=f"{model._meta.label_lower}.{column}")
    rows = model._default_manager.exclude(**{column: None}).order_by("pk")
    last: Any = None
    while True:
        after = rows if last is None else rows.filter(pk__gt=last)
        values = list(after.values_list("pk", column)[:page])
        for key, sealed in values:
            _value(model, column, key, bytes(sealed), ring, f"{model._meta.label_lower}:{key}:{part}", found)
        if len(values) < page:
            return found
        last = values[-1][0]


def _value(
    model: type[Model], column: str, key: Any, sealed: bytes, ring: KeyRing, context: str, found: Resealed
) -> None:
    if ring.is_current(sealed):
        found.current += 1
        return
    try:
        fresh = ring.reseal(sealed, context=context)
    except Unsealable:
        found.unreadable += 1
        return
    found.resealed += model._default_manager.filter(**{"pk": key, column: sealed}).update(**{column: fresh})
