"""Is this process alive, and could a prediction be served now?"""

import shutil

from celery import current_app
from django.conf import settings
from django.db import DatabaseError, connection
from django.http import HttpRequest, JsonResponse
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_safe
from kombu.exceptions import OperationalError

from core.models import Heartbeat
from core.tasks import WORKER

AGENT = "agent"
HEARTBEAT_SECONDS = 30
LEAST_FREE_BYTES = 100 * 1024**2


@csrf_exempt
@require_safe
def healthz(request: HttpRequest) -> JsonResponse:
    """The process answers."""
    return JsonResponse({"status": "ok"})


@csrf_exempt
@require_safe
def readyz(request: HttpRequest) -> JsonResponse:
    """200 once database, broker, worker (and so beat), serving agent and disk are fit."""
    request.is_noted = True  # type: ignore[attr-defined]
    checks = {"database": _database(), "broker": _broker(), "disk": _disk()}
    for component in (WORKER, AGENT):
        checks[component] = checks["database"] and Heartbeat.objects.alive(
            component, within_seconds=HEARTBEAT_SECONDS
        )
    ready = all(checks.values())
    return JsonResponse(
        {
            "status": "ready" if ready else "not ready",
            "checks": {name: "ok" if passed else "failed" for name, passed in checks.items()},
        },
        status=200 if ready else 503,
    )


def _database() -> bool:
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except DatabaseError:
        return False
    return True


def _broker() -> bool:
    try:
        with current_app.connection_for_write() as connection:
            connection.ensure_connection(max_retries=1, interval_start=0)
    except (OperationalError, OSError):
        return False
    return True


def _disk() -> bool:
    return shutil.disk_usage(settings.DATA_DIR).free > LEAST_FREE_BYTES
