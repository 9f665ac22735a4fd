"""The red button in the admin: the same two commands for projects and workflows, and how a freeze is shown."""

from typing import Any, Final

from django.utils.html import format_html
from django.utils.safestring import SafeString

from flowforge.api.caller import Caller
from flowforge.operating.constants import FROZEN, Scope
from flowforge.operating.models import Hold
from flowforge.operating.selectors import hold_of
from flowforge.operating.services import freeze, thaw
from flowforge.staff import shown
from flowforge.staff.commands import Command

_REASON: Final = "Frozen in the admin."


def freezing(scope: Scope) -> tuple[Command, Command]:
    """Freeze and thaw, for rows of that scope."""

    def stop(caller: Caller, row: Any) -> None:
        freeze(scope=scope, scope_id=row.pk, reason=_REASON, by=caller.name)

    return (
        Command(
            name="freeze",
            title=f"Freeze {scope}",
            explanation="No run and no step begins until it is thawed; steps that run end, triggers are kept.",
            done="frozen",
            carry_out=stop,
            applies=lambda row: not is_frozen(row),
            icon="ac_unit",
            destructive=True,
        ),
        Command(
            name="thaw",
            title=f"Thaw {scope}",
            explanation="What was held back begins, at the pace that is set for it.",
            done="thawing",
            carry_out=lambda _caller, row: thaw(scope_id=row.pk),
            applies=is_frozen,
            icon="wb_sunny",
        ),
    )


def is_frozen(row: Any) -> bool:
    hold = _hold(row)
    return hold is not None and hold.status == FROZEN


def shown_freeze(row: Any) -> SafeString | str:
    """Who, since when and why; a dash where nothing is held."""
    hold = _hold(row)
    if hold is None:
        return "–"
    return format_html("{} {}, by {}: {}", shown.moment(hold.since), hold.status, hold.by, hold.reason)


def _hold(row: Any) -> Hold | None:
    """Asked several times for one page: read once for each row that was loaded."""
    if not hasattr(row, "known_hold"):
        row.known_hold = hold_of(row.pk)
    hold: Hold | None = row.known_hold
    return hold
