"""The outbox: deliveries are rows of the transaction in which what they tell of happens (settings.EVENT_SINKS)."""

import uuid
from collections.abc import Collection, Sequence

from flowforge.events.sinks import Happening
from webhooks import subscribed
from webhooks.services.outbox import add_deliveries


class Outbox:
    """An EventSink."""

    def wants(self, project_id: uuid.UUID, events: Collection[str]) -> bool:
        return subscribed.anybody_wants(project_id, events)

    def take(self, project_id: uuid.UUID, happenings: Sequence[Happening]) -> None:
        add_deliveries(project_id=project_id, happenings=happenings)
