"""Numbers and words of webhooks that clients may rely on (docs/webhooks.md)."""

from datetime import timedelta
from typing import Final

# --- inbound ------------------------------------------------------------------------------------------------------
STANDARD, GITHUB, STRIPE, SLACK, GENERIC = SCHEMES = ("standard", "github", "stripe", "slack", "generic")
API_KEY, HMAC, BOTH = AUTHS = ("api_key", "hmac", "both")  # both: either of them is accepted
ACCEPTED, WAIT = RESPONSES = ("accepted", "wait")
FIRED, SKIPPED, COALESCED, REJECTED = DECISIONS = ("fired", "skipped", "coalesced", "rejected")

TOLERANCE: Final = timedelta(minutes=5)  # how far a timestamp may be off
REPEATED_BODY_WINDOW: Final = timedelta(minutes=5)  # of `generic`, whose calls have no id
IDEMPOTENCY_WINDOW: Final = timedelta(hours=24)  # of `Idempotency-Key`, where an API key calls
DEFAULT_SIGNATURE_HEADER: Final = "X-Signature"
WAIT_SECONDS: Final = 30.0  # how long `response: wait` holds the caller
CALLS_KEPT_FOR: Final = timedelta(days=30)
REJECTIONS_KEPT_FOR: Final = timedelta(days=7)
REJECTIONS_NOTED: Final = "60/m"  # of each webhook: a flood of wrong signatures fills no table
MAX_REPLAYED: Final = 500  # calls that one request replays
MAX_EXPRESSION_LENGTH: Final = 10_000
MAX_NAME_LENGTH: Final = 200
MAX_EVENT_LENGTH: Final = 200
SECRET_LENGTH: Final = (8, 256)  # of a secret that the sender has chosen
EXCERPT_LENGTH: Final = 4096  # of a body, in lists

# --- secrets, both ways ---------------------------------------------------------------------------------------------
DEFAULT_OVERLAP: Final = timedelta(hours=24)  # how long the secret before a rotation still holds
MAX_OVERLAP: Final = timedelta(days=7)

# --- outbound -----------------------------------------------------------------------------------------------------
PENDING, DELIVERED, DEAD = STATUSES = ("pending", "delivered", "dead")
RETRY_AFTER: Final = (  # the wait before each further attempt: ten attempts over three days
    timedelta(seconds=5),
    timedelta(minutes=5),
    timedelta(minutes=30),
    timedelta(hours=2),
    timedelta(hours=5),
    timedelta(hours=10),
    timedelta(hours=14),
    timedelta(hours=20),
    timedelta(hours=24),
)
DELIVERIES_KEPT_FOR: Final = timedelta(days=30)
MAX_REDELIVERED: Final = 10_000  # deliveries that one request sends again
MAX_DESCRIPTION_LENGTH: Final = 2_000
MAX_URL_LENGTH: Final = 2048
MAX_PATTERNS: Final = 50
PATTERN: Final = r"^(\*|[A-Za-z0-9_][A-Za-z0-9_.:/-]{0,98}\*?)\Z"  # an event's name, or how several begin
