"""`manage.py engine status|freeze|thaw|pause|resume`: the red button of everything, and maintenance."""

import getpass
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db.models import Count

from flowforge.core.clock import isoformat
from flowforge.core.errors import FlowForgeError
from flowforge.operating.constants import ENGINE_ID
from flowforge.operating.models import Hold
from flowforge.operating.services import active_holds, freeze, pause_engine, resume_engine, thaw
from runs.models import Run


class Command(BaseCommand):
    help = (
        "freeze: no run and no step begins anywhere, triggers are kept; thaw: what was held back begins, paced. "
        "pause: maintenance, workers begin nothing and starting or steering runs answers 503; resume: that is over."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        actions = parser.add_subparsers(dest="action", required=True, metavar="status|freeze|thaw|pause|resume")
        actions.add_parser("status", help="what is held, by whom, and how many runs wait for it")
        for name in ("freeze", "pause"):
            actions.add_parser(name).add_argument("--reason", default="", help="for whoever finds it so")
        actions.add_parser("thaw").add_argument("--rate", help="how many begin, such as 10/m")
        actions.add_parser("resume")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            self._act(options)
        except (FlowForgeError, ValueError) as error:
            raise CommandError(str(error)) from None
        self._show()

    def _act(self, options: dict[str, Any]) -> None:
        who = {"reason": options.get("reason", ""), "by": f"{getpass.getuser()} (manage.py)"}
        match options["action"]:
            case "freeze":
                freeze(scope="engine", scope_id=ENGINE_ID, **who)
            case "thaw":
                thaw(scope_id=ENGINE_ID, rate=options["rate"])
            case "pause":
                pause_engine(**who)
            case "resume":
                resume_engine()

    def _show(self) -> None:
        holds = active_holds()
        for hold in holds:
            self.stdout.write(_line(hold))
        if not holds:
            self.stdout.write("nothing is held")
        live = Run.objects.filter(finished_at__isnull=True)
        counts = live.order_by("status").values_list("status").annotate(count=Count("id"))
        shown = ", ".join(f"{count} {status}" for status, count in counts) or "none"
        self.stdout.write(f"live runs: {shown}; held back: {live.filter(held_at__isnull=False).count()}")


def _line(hold: Hold) -> str:
    what = "engine: paused" if hold.scope == "maintenance" else f"{hold.scope} {hold.scope_id}: {hold.status}"
    if hold.scope == "engine":
        what = f"everything: {hold.status}"
    more = [f"at {hold.rate}"] if hold.rate else []
    more += [f"since {isoformat(hold.since)} by {hold.by}"]
    more += [f"until {isoformat(hold.until)}"] if hold.until else []
    return ", ".join([what, *more]) + (f": {hold.reason}" if hold.reason else "")
