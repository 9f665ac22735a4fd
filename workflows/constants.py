"""Names and limits that several modules of this app share."""

from typing import Any, Final

DEFINITION_FIELDS: Final = ("nodes", "edges", "config", "input_schema", "output")
EMPTY_DEFINITION: Final[dict[str, Any]] = {"nodes": [], "edges": [], "config": {}, "input_schema": None, "output": None}

STATUSES: Final = ("active", "paused", "archived")
DECISIONS: Final = ("fired", "skipped", "coalesced", "deferred", "rejected", "late")  # of triggers

DEFINITION_BODY_BYTES: Final = 5 * 1024 * 1024  # api.md, section 1: definitions may be larger than other bodies
MAX_NAME_LENGTH: Final = 200
MAX_DESCRIPTION_LENGTH: Final = 20_000
MAX_TAGS: Final = 50
MAX_TAG_LENGTH: Final = 100
MAX_IMPORTED: Final = 500  # definitions in one import: it is one transaction
DEFINITION_CACHE_SIZE: Final = 512  # parsed versions kept in each process

DEFAULT_TASK_RETRIES: Final = 3  # FlowCtl: `max_retries (optional, default: 3)`
