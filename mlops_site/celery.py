"""The Celery application. Messages only wake work up; the database says what there is to do."""

import os

from celery import Celery
from celery.signals import before_task_publish, task_postrun, task_prerun
from django.conf import settings
from kombu.transport import TRANSPORT_ALIASES

from core.context import RequestContext, current, reset, use

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "mlops_site.settings")

TRANSPORT_ALIASES["filesystem"] = "core.broker:Transport"

app = Celery("mlops_site")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()

if not settings.REDIS_URL:
    for folder in ("messages", "control", "processed"):
        (settings.BROKER_DIR / folder).mkdir(parents=True, exist_ok=True)


@before_task_publish.connect
def send_request_id(headers: dict, **_: object) -> None:
    """Let the id of the request that asked for the work follow it to the worker."""
    headers["request_id"] = current().request_id


@task_prerun.connect
def enter_context(task, **_: object) -> None:
    task.request.context_token = use(
        RequestContext(request_id=task.request.get("request_id") or task.request.id, via="celery")
    )


@task_postrun.connect
def leave_context(task, **_: object) -> None:
    reset(task.request.context_token)
