"""One row of every model, and what the tests of the admin share."""

from importlib import import_module
from itertools import count
from typing import Any

from django.apps import apps
from django.conf import settings
from django.contrib import admin
from django.db.models import Model
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from core.models import AuditChain, Heartbeat, IdempotentRequest, User
from core.models.access import SignInLink, digest
from core.operations.alerts import raise_alert
from core.roles import Domain
from lifecycle.models import (
    CodeAllowance,
    DriftEvent,
    MetricPoint,
    ModelAlias,
    RunLogLine,
    RunMetric,
    RunParameter,
    RunTag,
)
from serving.models import Endpoint, Replica, RequestLog, RequestSums, Target
from tests.factories import make_deployment, make_model_run, make_registered, make_token, make_user

APPS = ("core", "serving", "lifecycle")
ROLES = ("viewer", "scientist", "approver", "operator", "admin")
FOR_ADMINS = {"core.user", "core.accesstoken", "core.signinlink", "core.idempotentrequest"}
numbers = count(1)


def labels() -> list[str]:
    """Every model of the platform, as "app.model"."""
    return sorted(model._meta.label_lower for app in APPS for model in apps.get_app_config(app).get_models())


def client_of(*roles: str, user: User | None = None) -> Client:
    """A browser signed in; its `user` is who it is."""
    client = Client()
    client.user = user or make_user(*roles)
    client.force_login(client.user)
    return client


def url(label: str, page: str = "changelist", *arguments: Any) -> str:
    return reverse(f"admin:{label.replace('.', '_')}_{page}", args=arguments)


def act(client: Client, label: str, action: str, *rows: Model, path: str = "", **answers: Any) -> Any:
    """Answer an action's page for these rows, as its button does."""
    return client.post(
        path or url(label),
        {
            "action": action,
            "select_across": "0",
            "confirmed": "1",
            "_selected_action": [row.pk for row in rows],
            **answers,
        },
    )


def told(response: Any) -> list[str]:
    """The messages of a response, or of the page it leads to."""
    return [str(message) for message in response.context["messages"]]


def make_rows() -> None:
    """At least one row of every model, telling of one another."""
    now = timezone.now()
    number = next(numbers)
    author = make_user("scientist", username=f"author{number}")
    make_token(author)
    SignInLink.objects.create(user=author, digest=digest(f"link {number}"), expires_at=now)
    Heartbeat.objects.beat(f"worker {number}")
    AuditChain.objects.get_or_create(pk=1)
    IdempotentRequest.objects.create(
        user=author, key=f"key {number}", path="/api/v1/x", body_sha256="0" * 64, answer={"kept": "answer"}
    )
    raise_alert(key=f"alert {number}", domain=Domain.LIFECYCLE, severity="high", title="Too hot")
    run = make_model_run(created_by=author)
    measured = {"run": run, "name": "loss", "value": 0.5, "timestamp": now}
    RunMetric.objects.create(**measured)
    MetricPoint.objects.create(**measured)
    RunParameter.objects.create(run=run, name="depth", value="3")
    RunTag.objects.create(run=run, name="team", value="risk")
    RunLogLine.objects.create(run=run, at=now, message="began")
    version = make_registered(created_by=author, run_id=run.run_id)
    ModelAlias.objects.create(model=version.model, alias=f"champion{number}", version=version)
    CodeAllowance.objects.create(model=version.model, reason="reviewed")
    DriftEvent.objects.create(
        model_version=version,
        detected_at=now,
        severity="high",
        metric_name="psi",
        metric_value=1,
        threshold=0.2,
    )
    deployment = make_deployment(model_version=version, status="active")
    deployment.events.create(after="active", at=now)
    deployment.log("loaded")
    endpoint = Endpoint.objects.create(model_name=version.model.name, environment="development")
    target = Target.objects.create(
        endpoint=endpoint,
        deployment_id=deployment.pk,
        model_version=1,
        model_path="/m",
        instance_type="small",
    )
    Replica.objects.create(target=target, name=f"replica{number}", state="ready")
    RequestLog.objects.create(
        request_id="r", deployment_id=deployment.pk, at=now, status=200, latency_ms=1, input="sampled secret"
    )
    RequestSums.objects.create(deployment_id=deployment.pk, span="minute", start=now, last_at=now)


def registered() -> dict[str, Any]:
    import_module(settings.ROOT_URLCONF)  # registers them
    return {model._meta.label_lower: owner for model, owner in admin.site._registry.items()}
