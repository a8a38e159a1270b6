"""Every setting of the platform, read from the environment.

`docs/settings.md` is the table for people. Defaults are the safe, embedded ones: loopback only, a secret generated
under `DATA_DIR`, SQLite, Celery over the filesystem and local model processes.
"""

import logging
import os
from pathlib import Path

from django.core.exceptions import ImproperlyConfigured
from django.utils.translation import gettext_lazy as _

from mlops_site import __version__
from mlops_site.api_description import DOCUMENTS
from mlops_site.environment import Environment
from mlops_site.schedule import SCHEDULE
from mlops_site.secret import read_or_create_secret

BASE_DIR = Path(__file__).resolve().parent.parent
env = Environment()

DATA_DIR = Path(env.str("DATA_DIR", default=str(BASE_DIR / "var"))).resolve()
DATA_DIR.mkdir(mode=0o700, parents=True, exist_ok=True)  # sessions and predictions are in it

RELEASE = __version__
DEBUG = env.bool("DEBUG", default=False)
SECRET_KEY_FILE = DATA_DIR / "secret_key"
SECRET_KEY = env.str("SECRET_KEY", default="") or read_or_create_secret(SECRET_KEY_FILE)
ALLOWED_HOSTS = env.list("ALLOWED_HOSTS", default=["localhost", "127.0.0.1", "[::1]"])
CSRF_TRUSTED_ORIGINS = env.list("CSRF_TRUSTED_ORIGINS", default=[])
HOST = env.str("HOST", default="127.0.0.1")
PORT = env.int("PORT", default=8000)
PUBLIC_URL = env.str("PUBLIC_URL", default=f"http://127.0.0.1:{PORT}").rstrip("/")
WEB_WORKERS = env.int("WEB_WORKERS", default=2)
WEB_THREADS = env.int("WEB_THREADS", default=32)

INSTALLED_APPS = [
    "unfold.apps.BasicAppConfig",  # before the admin, whose templates it replaces
    "core.apps.PlatformAdminConfig",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "whitenoise.runserver_nostatic",
    "django.contrib.staticfiles",
    "django.contrib.humanize",
    "rest_framework",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "django_filters",
    "django_htmx",
    "template_partials",
    "core",
    "serving",
    "prompts",
    "lifecycle",
]

MIDDLEWARE = [
    "core.middleware.RequestContextMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "core.middleware.StaticFilesMiddleware",
    "core.middleware.ContentSecurityPolicyMiddleware",
    "serving.middleware.PredictionMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "core.middleware.WholeFormsMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
]

ROOT_URLCONF = "mlops_site.urls"
WSGI_APPLICATION = "mlops_site.wsgi.application"
APPEND_SLASH = False

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.template.context_processors.i18n",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "mlops_site.navigation.navigation",
            ],
        },
    },
]

# --- Database -------------------------------------------------------------------------------------------------------

DATABASES = {"default": env.database("DATABASE_URL", default=f"sqlite:///{DATA_DIR / 'db.sqlite3'}")}
if DATABASES["default"]["ENGINE"] == "django.db.backends.sqlite3":
    # Several processes write: WAL lets readers go on, IMMEDIATE takes the write lock at BEGIN so that a
    # transaction waits for its turn instead of failing half-way, and the timeout is how long it waits.
    DATABASES["default"]["OPTIONS"] = {
        "transaction_mode": "IMMEDIATE",
        "timeout": 30,
        "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;",
    }
    DATABASES["default"]["CONN_MAX_AGE"] = None
    # In a file, as in production: threads and processes that tests start see the same rows and wait for each other.
    DATABASES["default"]["TEST"] = {"NAME": str(DATA_DIR / f"test-{os.getpid()}.sqlite3")}
else:
    DATABASES["default"].setdefault("CONN_MAX_AGE", 60)
    DATABASES["default"]["CONN_HEALTH_CHECKS"] = True
    # A server that is away without saying so must not hold every thread for minutes.
    DATABASES["default"].setdefault("OPTIONS", {}).setdefault("connect_timeout", 5)
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

# --- Queue ----------------------------------------------------------------------------------------------------------

REDIS_URL = env.redis("REDIS_URL", default="")
BROKER_DIR = DATA_DIR / "broker"
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_DEFAULT_QUEUE = "mlops"
CELERY_TIMEZONE = "UTC"
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_WORKER_CONCURRENCY = env.int("WORKER_THREADS", default=4)
CELERY_WORKER_HIJACK_ROOT_LOGGER = False  # its lines are JSON like all others
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_BEAT_SCHEDULE_FILENAME = str(DATA_DIR / "beat-schedule")
if REDIS_URL:
    CELERY_BROKER_URL = REDIS_URL
else:
    CELERY_BROKER_URL = "filesystem://localhost"
    CELERY_BROKER_TRANSPORT_OPTIONS = {
        "data_folder_in": str(BROKER_DIR / "messages"),
        "data_folder_out": str(BROKER_DIR / "messages"),
        "control_folder": str(BROKER_DIR / "control"),
        "processed_folder": str(BROKER_DIR / "processed"),
        "store_processed": True,
        "polling_interval": 0.1,
    }
CELERY_BEAT_SCHEDULE = SCHEDULE

# --- Artifacts ------------------------------------------------------------------------------------------------------

ARTIFACT_ROOT = env.str("ARTIFACT_ROOT", default=str(DATA_DIR / "artifacts"))
ARTIFACT_S3_ENDPOINT_URL = env.str("ARTIFACT_S3_ENDPOINT_URL", default="")
ARTIFACT_MAX_BYTES = env.int("ARTIFACT_MAX_BYTES", default=5 * 1024**3)

# --- Backups --------------------------------------------------------------------------------------------------------

# What a backup holds beside the database; `core.operations.backups.parts.Part` says what one has to do.
BACKUP_PARTS = [
    "serving.operations.backup_part.Replicas",
    "lifecycle.operations.backup_part.Artifacts",
]

# --- Serving --------------------------------------------------------------------------------------------------------

SERVING_BACKEND = env.str("SERVING_BACKEND", default="local")
SERVING_DIR = DATA_DIR
SERVING_MAX_BODY_BYTES = env.int("SERVING_MAX_BODY_BYTES", default=16 * 1024**2)
SERVING_MAX_ROWS = env.int("SERVING_MAX_ROWS", default=10_000)
SERVING_QUEUE_SIZE = env.int("SERVING_QUEUE_SIZE", default=128)
SERVING_DRAIN_SECONDS = env.float("SERVING_DRAIN_SECONDS", default=30.0)
SERVING_SAMPLE_RATE = env.float("SERVING_SAMPLE_RATE", default=0.1)
SERVING_LOG_RETENTION_DAYS = env.int("SERVING_LOG_RETENTION_DAYS", default=7)
SERVING_METRICS_RETENTION_DAYS = env.int("SERVING_METRICS_RETENTION_DAYS", default=90)
# What `instance_type` may name: threads, memory and the seconds one predict call may take.
INSTANCE_TYPES = env.json(
    "INSTANCE_TYPES",
    default={
        "small": {"cpu": 1, "memory_bytes": 1 * 1024**3, "timeout_seconds": 10},
        "medium": {"cpu": 2, "memory_bytes": 2 * 1024**3, "timeout_seconds": 30},
        "large": {"cpu": 4, "memory_bytes": 8 * 1024**3, "timeout_seconds": 60},
    },
)
DEFAULT_INSTANCE_TYPE = env.str("DEFAULT_INSTANCE_TYPE", default="small")
MAX_INSTANCES = env.int("MAX_INSTANCES", default=16)

# --- Lifecycle ------------------------------------------------------------------------------------------------------

MLFLOW_TRACKING_URI = env.str("MLFLOW_TRACKING_URI", default="")
APPROVAL_REQUIRED_STAGES = env.list("APPROVAL_REQUIRED_STAGES", default=["staging", "production"])
DEFAULT_CHECKLIST = [
    item.strip()
    for item in env.str(
        "DEFAULT_CHECKLIST",
        default="Metrics reviewed against the baseline\n"
        "Training data and features documented\n"
        "Bias and fairness considered\n"
        "Rollback plan agreed",
    ).splitlines()
    if item.strip()
]
DEPLOYMENT_STAGE_TIMEOUT_SECONDS = env.float("DEPLOYMENT_STAGE_TIMEOUT_SECONDS", default=300.0)
VALIDATION_TIME_LIMIT_SECONDS = env.float("VALIDATION_TIME_LIMIT_SECONDS", default=60.0)
HEALTH_WINDOW_SECONDS = env.int("HEALTH_WINDOW_SECONDS", default=300)
DEFAULT_SLO_P95_MS = env.float("DEFAULT_SLO_P95_MS", default=1000.0)
DEFAULT_SLO_ERROR_RATE = env.float("DEFAULT_SLO_ERROR_RATE", default=0.05)

# --- Access ---------------------------------------------------------------------------------------------------------

AUTH_USER_MODEL = "core.User"
FAILED_SIGN_INS_PER_ADDRESS = env.rate("FAILED_SIGN_INS_PER_ADDRESS", default="20/5 minutes")
FAILED_SIGN_INS_PER_ACCOUNT = env.rate("FAILED_SIGN_INS_PER_ACCOUNT", default="50/hour")
FAILED_TOKENS_PER_ADDRESS = env.rate("FAILED_TOKENS_PER_ADDRESS", default="60/minute")
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in ("MinimumLengthValidator", "CommonPasswordValidator", "NumericPasswordValidator")
]
LOGIN_URL = "sign-in"
LOGIN_REDIRECT_URL = "overview"
LOGOUT_REDIRECT_URL = "sign-in"
CSRF_FAILURE_VIEW = "core.pages.errors.csrf_failure"
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
X_FRAME_OPTIONS = "DENY"
SECURE_REFERRER_POLICY = "same-origin"
SECURE_CONTENT_TYPE_NOSNIFF = True
HTTPS_ONLY = env.bool("HTTPS_ONLY", default=False)
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = SECURE_SSL_REDIRECT = HTTPS_ONLY
SECURE_REDIRECT_EXEMPT = [r"^healthz$", r"^readyz$"]
SECURE_HSTS_SECONDS = 31_536_000 if HTTPS_ONLY else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = SECURE_HSTS_PRELOAD = HTTPS_ONLY
BEHIND_PROXY = env.bool("BEHIND_PROXY", default=False)
if BEHIND_PROXY:
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
DATA_UPLOAD_MAX_MEMORY_SIZE = env.int("API_MAX_BODY_BYTES", default=16 * 1024**2)

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "core.api.authentication.TokenAuthentication",
        "core.api.authentication.SessionAuthentication",
    ],
    "DEFAULT_PERMISSION_CLASSES": ["core.api.authentication.SignedIn"],
    "DEFAULT_PAGINATION_CLASS": "core.api.pagination.Pagination",
    "DEFAULT_PARSER_CLASSES": ["core.api.parsers.StrictJSONParser"],
    "DEFAULT_RENDERER_CLASSES": [
        "rest_framework.renderers.JSONRenderer",
        "core.api.browsable.BrowsableRenderer",
    ],
    "EXCEPTION_HANDLER": "core.api.errors.handle",
    "DATETIME_FORMAT": "%4Y-%m-%dT%H:%M:%S.%fZ",  # a year has four digits, which plain %Y forgets before 1000
    "TEST_REQUEST_DEFAULT_FORMAT": "json",
    "STRICT_JSON": True,
    "DEFAULT_METADATA_CLASS": "core.api.metadata.Metadata",
    "DEFAULT_SCHEMA_CLASS": "core.api.schema.AutoSchema",
}
SPECTACULAR_SETTINGS = DOCUMENTS

# --- Languages, static files ----------------------------------------------------------------------------------------

LANGUAGE_CODE = "en"
LANGUAGES = [("ko", _("Korean")), ("en", _("English"))]
LANGUAGE_COOKIE_AGE = 365 * 86400
LANGUAGE_COOKIE_HTTPONLY = True
LANGUAGE_COOKIE_SAMESITE = "Lax"
LANGUAGE_COOKIE_SECURE = HTTPS_ONLY
LOCALE_PATHS = [BASE_DIR / "locale"]
FORMAT_MODULE_PATH = ["mlops_site.formats"]
TIME_ZONE = "UTC"
USE_TZ = True
USE_THOUSAND_SEPARATOR = False

STATIC_URL = "/static/"
STATIC_ROOT = DATA_DIR / "static"
NODE_MODULES = BASE_DIR / "node_modules"
STATICFILES_DIRS = [
    BASE_DIR / "static",
    ("vendor/tabler", NODE_MODULES / "@tabler/core/dist"),
    ("vendor/htmx", NODE_MODULES / "htmx.org/dist"),
    ("vendor/idiomorph", NODE_MODULES / "idiomorph/dist"),
    ("vendor/echarts", NODE_MODULES / "echarts/dist"),
]
STATICFILES_FINDERS = [
    "core.static_finder.ListedVendorFilesFinder",
    "core.static_finder.ListedAppFilesFinder",
]
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "whitenoise.storage.CompressedManifestStaticFilesStorage"},
}

# --- Admin ----------------------------------------------------------------------------------------------------------

UNFOLD = {
    "SITE_TITLE": _("MLOps admin"),
    "SITE_HEADER": _("MLOps admin"),
    "SITE_SUBHEADER": _("Models from training to traffic"),
    "SITE_SYMBOL": "hub",
    "SITE_FAVICONS": [
        {"rel": "icon", "type": "image/svg+xml", "href": "mlops_site.admin_navigation.favicon"}
    ],
    "SHOW_LANGUAGES": True,
    "STYLES": ["mlops_site.admin_navigation.stylesheet"],
    "SCRIPTS": ["mlops_site.admin_navigation.script"],
    "SIDEBAR": {"navigation": "mlops_site.admin_navigation.sidebar"},
}

# --- Logging --------------------------------------------------------------------------------------------------------

LOG_LEVEL = env.str("LOG_LEVEL", default="INFO").upper()
if LOG_LEVEL not in logging.getLevelNamesMapping():
    raise ImproperlyConfigured(f"The setting LOG_LEVEL is “{LOG_LEVEL}”. Use DEBUG, INFO, WARNING or ERROR.")
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "filters": {
        "context": {"()": "core.context.ContextFilter"},
        "noted": {"()": "core.context.NotedFilter"},
    },
    "formatters": {
        "json": {
            "()": "core.log_lines.JsonLines",
            "format": "%(asctime)s %(levelname)s %(name)s %(message)s %(request_id)s",
        },
    },
    "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "json", "filters": ["context"]}},
    "root": {"handlers": ["console"], "level": LOG_LEVEL},
    "loggers": {
        "django.server": {"handlers": ["console"], "propagate": False},
        "django.request": {"filters": ["noted"]},
        # A line for each beat and each task would bury the rest: the schedule ticks every few seconds.
        **{
            name: {"level": "WARNING"}
            for name in ("celery.beat", "celery.worker.strategy", "celery.app.trace")
        },
    },
}
