"""How the admin looks and what its sidebar holds: the setting UNFOLD."""

from typing import Any

from django.templatetags.static import static
from django.urls import reverse_lazy


def _page(title: str, icon: str, model: str) -> dict[str, Any]:
    """A line of the sidebar: `model`'s list, for those who may see it."""
    app, name = model.split(".")
    rights = (f"{app}.view_{name}", f"{app}.change_{name}")
    return {
        "title": title,
        "icon": icon,
        "link": reverse_lazy(f"admin:{app}_{name}_changelist"),
        "permission": lambda request: any(map(request.user.has_perm, rights)),
    }


UNFOLD: dict[str, Any] = {
    "SITE_TITLE": "FlowForge",
    "SITE_HEADER": "FlowForge",
    "SITE_SUBHEADER": "Workflows and their runs",
    "SITE_URL": None,
    "SITE_ICON": lambda _request: static("staff/icon.svg"),
    "SITE_FAVICONS": [
        {"rel": "icon", "type": "image/svg+xml", "href": lambda _request: static("staff/icon.svg")},
    ],
    "STYLES": [lambda _request: static("staff/staff.css")],
    "SHOW_BACK_BUTTON": True,
    "DASHBOARD_CALLBACK": "runs.dashboard.add_to_index",
    "SIDEBAR": {
        "navigation": [
            {
                "title": "Work",
                "items": [
                    _page("Runs", "play_circle", "runs.run"),
                    _page("Failures", "report", "runs.failuregroup"),
                    _page("Workflows", "account_tree", "workflows.workflow"),
                    _page("Step templates", "stacks", "templates_app.steptemplate"),
                    _page("Schedules", "event_repeat", "schedules.schedule"),
                    _page("Event triggers", "sensors", "triggers.eventtrigger"),
                    _page("Alerts", "notifications", "alerts.alert"),
                    _page("Assets", "inventory_2", "assets.asset"),
                    _page("Backfills", "history", "schedules.backfill"),
                    _page("Trigger decisions", "rule", "workflows.triggerdecision"),
                    _page("Projects", "folder_open", "projects.project"),
                ],
            },
            {
                "title": "Webhooks",
                "separator": True,
                "items": [
                    _page("Inbound", "input", "webhooks.webhook"),
                    _page("Calls", "call_received", "webhooks.call"),
                    _page("Subscriptions", "outbound", "webhooks.subscription"),
                    _page("Deliveries", "send", "webhooks.delivery"),
                ],
            },
            {
                "title": "People & keys",
                "separator": True,
                "items": [
                    _page("People", "group", "projects.user"),
                    _page("Logins", "login", "projects.tokenfamily"),
                    _page("API keys", "key", "projects.apikey"),
                    _page("Credentials", "lock", "credentials.credential"),
                ],
            },
            {
                "title": "Operation",
                "separator": True,
                "items": [
                    _page("Workers", "memory", "workers.worker"),
                    _page("Beat", "notifications", "django_celery_beat.periodictask"),
                ],
            },
        ],
    },
    "COLORS": {
        "primary": {  # the orange of glowing iron
            "50": "oklch(98% .016 73.684)",
            "100": "oklch(95.4% .038 75.164)",
            "200": "oklch(90.1% .076 70.697)",
            "300": "oklch(83.7% .128 66.29)",
            "400": "oklch(75% .183 55.934)",
            "500": "oklch(70.5% .213 47.604)",
            "600": "oklch(55.3% .195 38.402)",
            "700": "oklch(47% .157 37.304)",
            "800": "oklch(40.8% .123 38.172)",
            "900": "oklch(34% .1 37)",
            "950": "oklch(26.6% .079 36.259)",
        },
    },
}
