"""Words and numbers of event triggers that clients may rely on (docs/events.md)."""

from typing import Final

from flowforge.kernel.trigger_rules import Dialect

LEDGER: Final = "event_trigger"  # `trigger_type` of its own decisions; those of an event say `event`
RUNS: Final = "event"  # `trigger.type` of its runs
DIALECT: Final = Dialect(condition="match", names=("payload", "event"))

MAX_NAME_LENGTH: Final = 200
MAX_EVENT_LENGTH: Final = 101  # a name's hundred, and the `*` of a pattern
MAX_EXPRESSION_LENGTH: Final = 10_000
