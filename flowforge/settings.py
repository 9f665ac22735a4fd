"""All settings, from the environment. Names and defaults: docs/settings.md; read elsewhere through `django.conf`.

Without any variable this is the embedded default: SQLite under FLOWFORGE_HOME and an in-process broker.
"""

import contextlib
import os
import secrets
from datetime import timedelta
from pathlib import Path
from typing import Any

import environ

from flowforge.staff import sidebar
from flowforge.steps.llm import prices

env = environ.Env()
BASE_DIR = Path(__file__).resolve().parent.parent


def _port(text: str) -> int:
    """An empty variable is as good as none; anything else that is no number ends the start with one line."""
    if text and not text.isdecimal():
        raise SystemExit(f"PORT has to be a number, not {text!r}")
    return int(text or 8000)


# --- where things are ---------------------------------------------------------------------------------------------
HOME = Path(env.str("FLOWFORGE_HOME", default=str(BASE_DIR / ".flowforge"))).expanduser().resolve()
HOST = env.str("HOST", default="127.0.0.1")
PORT = _port(env.str("PORT", default="8000"))
DATABASE_URL = env.str("DATABASE_URL", default=f"sqlite:///{HOME / 'flowforge.sqlite3'}")
BROKER_URL = env.str("BROKER_URL", default="inproc://")
CACHE_URL = env.str("CACHE_URL", default=BROKER_URL if BROKER_URL.startswith("redis") else "")
EMBEDDED = BROKER_URL.startswith("inproc")

# --- secrets ------------------------------------------------------------------------------------------------------
DEBUG = env.bool("FLOWFORGE_DEBUG", default=False)


def _secret_keys() -> list[str]:
    """FLOWFORGE_SECRET_KEYS, newest first, comma-separated; without it a random one, kept in FLOWFORGE_HOME."""
    given: list[str] = env.list("FLOWFORGE_SECRET_KEYS", default=[])
    if given:
        return given
    path = HOME / "secret_key"
    if not path.exists():
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        draft = path.with_name(f"secret_key.{os.getpid()}")
        with open(draft, "w", opener=lambda name, flags: os.open(name, flags, 0o600)) as file:
            file.write(secrets.token_urlsafe(64))
        with contextlib.suppress(FileExistsError):  # whoever was faster is right, and nobody sees half a key
            os.link(draft, path)
        draft.unlink()
    return [path.read_text().strip()]


SECRET_KEYS = _secret_keys()
SECRET_KEY = SECRET_KEYS[0]
SECRET_KEY_FALLBACKS = SECRET_KEYS[1:]

# --- Django -------------------------------------------------------------------------------------------------------
ALLOWED_HOSTS: list[str] = env.list("FLOWFORGE_ALLOWED_HOSTS", default=["localhost", "127.0.0.1", "[::1]", HOST])
ROOT_URLCONF = "flowforge.urls"
WSGI_APPLICATION = None
APPEND_SLASH = False
USE_TZ = True
TIME_ZONE = "UTC"
LANGUAGE_CODE = "en-us"
USE_I18N = False
FORMAT_MODULE_PATH = ["flowforge.staff.formats"]
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
AUTH_USER_MODEL = "projects.User"
TEST_RUNNER = "django.test.runner.DiscoverRunner"

INSTALLED_APPS = [
    "flowforge.staff",  # before unfold, some of whose pages it extends
    "unfold",
    "unfold.contrib.filters",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "servestatic.runserver_nostatic",
    "django.contrib.staticfiles",
    "corsheaders",
    "rest_framework",
    "django_filters",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "django_celery_beat",
    "flowforge.api",
    "flowforge.events",
    "flowforge.operating",
    "flowforge.projects",
    "flowforge.workers",
    "flowforge.assets",
    "flowforge.credentials",
    "templates_app",
    "workflows",
    "flowforge.triggers",
    "runs",
    "flowforge.schedules",
    "webhooks",
    "flowforge.alerts",
    "flowforge.engine",
    "flowforge.cli",
]

MIDDLEWARE = [
    "flowforge.api.middleware.ApiMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "flowforge.api.static.StaticMiddleware",
    "flowforge.api.middleware.SessionForAdminMiddleware",
]
CORS_ALLOWED_ORIGINS: list[str] = env.list("FLOWFORGE_CORS_ORIGINS", default=[])
CORS_URLS_REGEX = r"^/(v1|api/v1)/"
CORS_ALLOW_HEADERS = (
    *("accept", "authorization", "content-type", "x-api-key", "idempotency-key"),
    *("if-match", "if-none-match", "last-event-id", "traceparent", "tracestate"),
)
CORS_EXPOSE_HEADERS = (
    *("ETag", "Location", "Retry-After", "X-Trace-Id", "Idempotent-Replayed"),
    *("X-RateLimit-Limit", "X-RateLimit-Remaining", "X-RateLimit-Reset"),
)
if CORS_ALLOWED_ORIGINS:  # closed by default, and then it costs no call anything
    MIDDLEWARE.insert(2, "corsheaders.middleware.CorsMiddleware")

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    },
]

STATIC_URL = "/static/"
STATIC_ROOT = HOME / "static"
SERVESTATIC_USE_FINDERS = True

# --- databases ----------------------------------------------------------------------------------------------------


def _database(url: str) -> dict[str, Any]:
    found: dict[str, Any] = environ.Env.db_url_config(url)
    if found["ENGINE"].endswith("sqlite3"):
        found["ENGINE"] = "flowforge.core.sqlite"
        found["OPTIONS"] = {
            "timeout": 20,
            # a read that turns into a write must not find the database locked: take the write lock at BEGIN
            "transaction_mode": "IMMEDIATE",
            # FULL: what was answered with 2xx survives a power loss (WAL with NORMAL may lose the newest commits)
            "init_command": (
                "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA cache_size=-16000; "
                "PRAGMA mmap_size=134217728; PRAGMA temp_store=MEMORY; PRAGMA journal_size_limit=67108864;"
            ),
        }
        found["TEST"] = {"NAME": str(HOME / "test.sqlite3")}
    else:
        found["ENGINE"] = "flowforge.core.postgresql"
        found.setdefault("OPTIONS", {})
        found["OPTIONS"] = {"prepare_threshold": 2} | found["OPTIONS"]  # of the engine's own cursors: store/at_once.py
        found["OPTIONS"] |= {
            "connect_timeout": 5,
            "application_name": "flowforge",
            "options": "-c idle_in_transaction_session_timeout=30s -c lock_timeout=10s -c statement_timeout=60s "
            # what is prepared has no value on which its plan depends; a plan that is made while a table is small stays
            # until the server has counted its rows: so it has to be one that looks rows up
            "-c plan_cache_mode=force_generic_plan -c random_page_cost=1.1 -c jit=off",
        }
        found["CONN_HEALTH_CHECKS"] = True
    found["CONN_MAX_AGE"] = None  # our own threads are few and live long: flowforge/asgi.py, flowforge/engine
    return found


DATABASES = {"default": _database(DATABASE_URL)}

CACHES: dict[str, dict[str, Any]] = {
    "default": (
        {"BACKEND": "django.core.cache.backends.redis.RedisCache", "LOCATION": CACHE_URL}
        if CACHE_URL
        else {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}
    )
}

# --- people and sessions ------------------------------------------------------------------------------------------
PASSWORD_HASHERS = [
    "django.contrib.auth.hashers.Argon2PasswordHasher",
    "django.contrib.auth.hashers.PBKDF2PasswordHasher",
]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator"},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]
HTTPS = env.bool("FLOWFORGE_HTTPS", default=False)
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = HTTPS
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_PATH = CSRF_COOKIE_PATH = "/admin/"
SECURE_SSL_REDIRECT = HTTPS
SECURE_REDIRECT_EXEMPT = [r"^(livez|readyz)$"]  # orchestrators ask the process itself, past the proxy that has TLS
SECURE_HSTS_SECONDS = 31_536_000 if HTTPS else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = SECURE_HSTS_PRELOAD = HTTPS
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if HTTPS else None
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
TRUSTED_PROXY_COUNT = env.int("FLOWFORGE_TRUSTED_PROXIES", default=0)

UNFOLD = sidebar.UNFOLD  # the admin's looks
LOGIN_URL, LOGIN_REDIRECT_URL = "admin:login", "admin:index"

# --- the API ------------------------------------------------------------------------------------------------------
DATA_UPLOAD_MAX_MEMORY_SIZE = 6 * 1024 * 1024
REST_FRAMEWORK: dict[str, Any] = {
    "DEFAULT_RENDERER_CLASSES": ["flowforge.api.renderers.EnvelopeRenderer"],
    "DEFAULT_PARSER_CLASSES": ["flowforge.api.parsers.StrictJSONParser"],
    "DEFAULT_AUTHENTICATION_CLASSES": ["flowforge.projects.authentication.CallerAuthentication"],
    "DEFAULT_PERMISSION_CLASSES": ["flowforge.api.permissions.ScopePermission"],
    "DEFAULT_PAGINATION_CLASS": "flowforge.api.pagination.CursorPagination",
    "DEFAULT_FILTER_BACKENDS": ["flowforge.api.filters.StrictFilterBackend"],
    "DEFAULT_SCHEMA_CLASS": "flowforge.api.openapi.ApiSchema",
    "DEFAULT_CONTENT_NEGOTIATION_CLASS": "flowforge.api.negotiation.JsonNegotiation",
    "EXCEPTION_HANDLER": "flowforge.api.problems.exception_handler",
    "UNAUTHENTICATED_USER": None,
    "NUM_PROXIES": TRUSTED_PROXY_COUNT,
}
SPECTACULAR_SETTINGS: dict[str, Any] = {
    "TITLE": "FlowForge",
    "DESCRIPTION": "Workflows as graphs of steps, and their runs, carried to the end.",
    "VERSION": "1",
    "OAS_VERSION": "3.1.0",
    "SCHEMA_PATH_PREFIX": r"/v1",
    "SERVE_INCLUDE_SCHEMA": False,
    "COMPONENT_SPLIT_REQUEST": True,
    "SORT_OPERATIONS": False,
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "REDOC_DIST": "SIDECAR",
    "POSTPROCESSING_HOOKS": ["flowforge.api.openapi.finish"],
}
SIMPLE_JWT: dict[str, Any] = {  # read by flowforge.projects.tokens, which pins HS256 and derives its own signing key
    "ACCESS_TOKEN_LIFETIME": timedelta(minutes=15),
    "REFRESH_TOKEN_LIFETIME": timedelta(days=7),
    "ISSUER": "flowforge",
    "AUDIENCE": "flowforge-api",
    "TOKEN_TYPE_CLAIM": "typ",
    "LEEWAY": 5,  # seconds that the clocks of two hosts may differ
}
RATE_LIMITS = {  # per minute; a project may override the first three in its settings
    "general": env.str("FLOWFORGE_RATE_GENERAL", default="1000/m"),
    "runs": env.str("FLOWFORGE_RATE_RUNS", default="500/m"),
    "export": env.str("FLOWFORGE_RATE_EXPORT", default="10/m"),
    "dialect": env.str("FLOWFORGE_RATE_DIALECT", default="100/m"),
    "login": env.str("FLOWFORGE_RATE_LOGIN", default="10/m"),
}

# --- steps --------------------------------------------------------------------------------------------------------
FILE_ROOTS = [Path(root) for root in env.str("FLOWFORGE_FILE_ROOTS", default=str(HOME / "files")).split(":") if root]
MAX_DATA_BYTES = env.int("FLOWFORGE_MAX_DATA_BYTES", default=4_294_967_296)
DATA_MEMORY_BYTES = env.int("FLOWFORGE_DATA_MEMORY_BYTES", default=1_073_741_824)
ISOLATION = env.str("FLOWFORGE_ISOLATION", default="auto")
READABLE = [Path(path) for path in env.str("FLOWFORGE_READABLE", default="").split(":") if path]
LLM_PRICES = prices.parse(env.list("FLOWFORGE_LLM_PRICES", default=[]))
ALLOW_PRIVATE_TARGETS: list[str] = env.list("FLOWFORGE_ALLOW_PRIVATE_TARGETS", default=[])
METRICS_TOKEN = env.str("FLOWFORGE_METRICS_TOKEN", default="")
STEP_TYPES: list[str] = env.list("FLOWFORGE_STEP_TYPES", default=[])  # dotted paths, beside the entry points

# --- assets -------------------------------------------------------------------------------------------------------
ASSET_STORE = env.str("FLOWFORGE_ASSET_STORE", default="")
MAX_UPLOAD_BYTES = env.int("FLOWFORGE_MAX_UPLOAD_BYTES", default=1_073_741_824)
MAX_ASSET_BYTES = env.int("FLOWFORGE_MAX_ASSET_BYTES", default=10_737_418_240)

# --- what is reached upwards, by name (docs/architecture.md) ------------------------------------------------------
HOUSEKEEPING = [  # what deletes its own expired rows: flowforge.engine.housekeeping
    "flowforge.projects.idempotency.purge",
    "flowforge.projects.services.people.purge_families",
    "flowforge.api.rates.purge",
    "flowforge.events.services.purge",
    "flowforge.workers.services.purge",
    "runs.services.dedupe.purge",
    "runs.services.debounce.purge",
    "runs.services.cache.purge",
    "workflows.services.decisions.purge",
    "webhooks.services.cleaning.purge_calls",
    "webhooks.services.cleaning.purge_deliveries",
    "flowforge.engine.store.admission.forget_paces",
]
EVENT_SINKS = ["webhooks.sink.Outbox"]  # what hears of events within the transaction that appends them
CHORES = [  # what looks around every few seconds: flowforge.cli.chores
    "flowforge.credentials.services.expiry.run_once",
    "flowforge.alerts.services.checking.run_once",
    "flowforge.schedules.services.notices.run_once",
    "flowforge.assets.services.sweeping.run_once",
]
SEALED = [  # what `manage.py rotate_secrets` seals anew: model, column, purpose of its keys, place within the row
    ("credentials.Credential", "data_ciphertext", "credentials", "data"),
    ("webhooks.Webhook", "secret_ciphertext", "webhooks", "secret"),
    ("webhooks.Webhook", "old_secret_ciphertext", "webhooks", "secret"),
    ("webhooks.Subscription", "secret_ciphertext", "webhooks", "secret"),
    ("webhooks.Subscription", "old_secret_ciphertext", "webhooks", "secret"),
]
OVERDUE_SCHEDULES = "flowforge.schedules.selectors.count_overdue"  # how many nobody looks at: insights/health.py
IDEMPOTENCY_STORE = "flowforge.projects.idempotency.DatabaseStore"
WORKFLOW_RUNS_PORT = "runs.port.Port"  # workflows/ports.py says what it gives
TEMPLATE_USERS = "workflows.selectors.template_users_count"  # templates_app/ports.py says what it gives
RUNS_BRAKE = "runs.services.braking.brake"  # flowforge/operating/services.py says what it does

# --- the engine ---------------------------------------------------------------------------------------------------
LEASE_SECONDS = env.float("FLOWFORGE_LEASE_SECONDS", default=8.0)
CONTROL_THREADS = env.int("FLOWFORGE_CONTROL_THREADS", default=1)
DEFAULT_THREADS = env.int("FLOWFORGE_DEFAULT_THREADS", default=16)
PROCESS_THREADS = env.int("FLOWFORGE_PROCESS_THREADS", default=4)
DELIVERY_THREADS = env.int("FLOWFORGE_DELIVERY_THREADS", default=64)
WEB_THREADS = env.int("FLOWFORGE_WEB_THREADS", default=16)
DRAIN_SECONDS = env.float("FLOWFORGE_DRAIN_SECONDS", default=25.0)
MAX_BACKLOG = env.int("FLOWFORGE_MAX_BACKLOG", default=100_000)  # runs that are due and not begun; 0: no bound
THAW_RATE = env.str("FLOWFORGE_THAW_RATE", default="20/s")  # of runs that a freeze has held back, unless it is said
FAILPOINTS = env.str("FLOWFORGE_FAILPOINTS", default="")

_REDIS_OPTIONS = {
    "visibility_timeout": 120,
    # Our loop (flowforge/cli/consumer.py) leaves the socket often, and each time kombu would lock Redis to look for
    # messages of the dead. Their runs are found by the sweep long before: what is left is to keep the list short.
    "unacked_restore_throttle": 200,
    "socket_timeout": 10,
    "socket_connect_timeout": 5,
    "socket_keepalive": True,
    "health_check_interval": 25,
    "retry_on_timeout": True,
    "global_keyprefix": "ff:",
}
CELERY_BROKER_URL = BROKER_URL
CELERY_BROKER_TRANSPORT_OPTIONS: dict[str, Any] = (
    _REDIS_OPTIONS
    if BROKER_URL.startswith("redis")
    else {"confirm_publish": True}
    if BROKER_URL.startswith("amqp")
    else {}
)
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_BROKER_CONNECTION_MAX_RETRIES = None  # the default of 100 would end a worker during a long outage
CELERY_BROKER_CHANNEL_ERROR_RETRY = True
CELERY_BROKER_CONNECTION_TIMEOUT = 4
CELERY_BROKER_HEARTBEAT = 30
CELERY_TASK_SERIALIZER = CELERY_RESULT_SERIALIZER = CELERY_EVENT_SERIALIZER = "json"
CELERY_ACCEPT_CONTENT = CELERY_RESULT_ACCEPT_CONTENT = ["json"]
CELERY_TASK_IGNORE_RESULT = True  # the truth is in our tables
CELERY_TASK_ACKS_LATE = False  # a message is a hint; the leases recover
CELERY_TASK_REJECT_ON_WORKER_LOST = False
CELERY_TASK_PUBLISH_RETRY_POLICY = {"max_retries": 2, "interval_start": 0, "interval_step": 0.1, "interval_max": 0.3}
CELERY_TASK_CREATE_MISSING_QUEUES = True  # a node may name a queue of its own
CELERY_TASK_DEFAULT_QUEUE = "default"
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_WORKER_ETA_TASK_LIMIT = 1000
CELERY_WORKER_CANCEL_LONG_RUNNING_TASKS_ON_CONNECTION_LOSS = False
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_WORKER_SEND_TASK_EVENTS = False
# nobody asks: and on RabbitMQ two pools of one name would lock each other out of its exclusive queues
CELERY_WORKER_ENABLE_REMOTE_CONTROL = False
CELERY_TIMEZONE = "UTC"
CELERY_ENABLE_UTC = True
CELERY_BEAT_SCHEDULER = "flowforge.schedules.beat:Scheduler"
DJANGO_CELERY_BEAT_TZ_AWARE = True

# --- logs ---------------------------------------------------------------------------------------------------------
LOGGING: dict[str, Any] = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"()": "flowforge.telemetry.logs.LineFormatter"}},
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line"}},
    "root": {"handlers": ["stderr"], "level": env.str("FLOWFORGE_LOG_LEVEL", default="WARNING")},
    "loggers": {
        "flowforge": {"level": env.str("FLOWFORGE_LOG_LEVEL", default="INFO")},
        "django.request": {"level": "ERROR"},  # not a line for every 4xx: clients' mistakes are theirs to see
    },
}
SILENCED_SYSTEM_CHECKS = [
    "security.W003",  # CSRF protection covers /admin/ alone: the API takes no cookie
    "admin.E408",  # SessionForAdminMiddleware runs these three for /admin/ alone
    "admin.E409",
    "admin.E410",
]
