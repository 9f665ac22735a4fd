"""What a webhook makes of a call: whether it starts a run, with which inputs, and which calls are one."""

from collections.abc import Mapping
from typing import Final

from flowforge.core.errors import Fault
from flowforge.core.json import Json
from flowforge.kernel import trigger_rules
from flowforge.kernel.trigger_rules import Dialect, TriggerRules, Unwanted, Wanted
from webhooks.models import Webhook

_DIALECT: Final = Dialect(condition="event_filter", names=("payload", "headers", "query", "event"))


def apply(webhook: Webhook, scope: Mapping[str, Json]) -> Wanted | Unwanted:
    """What the call is to start, if anything. Raises Unmappable (422)."""
    rules = TriggerRules(
        dialect=_DIALECT,
        owner=f"webhook:{webhook.pk}",
        condition=webhook.event_filter,
        input_mapping=webhook.input_mapping,
        dedupe=webhook.dedupe,
    )
    return trigger_rules.apply(rules, scope)


def faults_of(given: Mapping[str, Json]) -> list[Fault]:
    """What is wrong with the expressions of a body, each by its place."""
    return trigger_rules.faults_of(given, _DIALECT)
