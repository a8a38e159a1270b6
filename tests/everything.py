"""A platform with something in every table."""

from typing import Any

from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Group, Permission
from django.contrib.sessions.models import Session
from django.utils import timezone

from core.models import IdempotentRequest, SignInLink
from core.operations import audit
from core.operations.alerts import raise_alert
from core.roles import Domain
from core.sentences import sentence
from lifecycle.models import (
    CodeAllowance,
    Deployment,
    DriftEvent,
    MetricPoint,
    ModelAlias,
    RunLogLine,
    RunMetric,
    RunParameter,
    RunTag,
)
from serving.models import Endpoint, Replica, RequestLog, RequestSums, Target
from tests.factories import make_deployment, make_registered, make_token

NOW = timezone.now()


def make_everything() -> Deployment:
    """Rows in every table, with values that engines and encodings treat differently; returns what serves."""
    version = make_registered(ticked=True)
    deployment = make_deployment(model_version=version, status="active")
    put_behind_an_endpoint(deployment)
    user, run, model = version.created_by, version.run, version.model
    make_token(user)
    user.user_permissions.add(Permission.objects.first())
    Group.objects.get(name="scientist").permissions.add(Permission.objects.last())
    Session.objects.create(session_key="k", session_data="signed", expire_date=NOW)
    LogEntry.objects.create(user=user, object_repr="somebody", action_flag=2)
    SignInLink.objects.create(user=user, digest="d" * 64, expires_at=NOW)
    for key, answer in {"none": None, "text": "ㄱ\u2028😀\\\"'"}.items():
        IdempotentRequest.objects.create(user=user, key=key, path="/", body_sha256="", answer=answer)
    RunParameter.objects.create(run=run, name="alpha", value="1.0")
    RunTag.objects.create(run=run, name="ㄱ", value="multi\nline")
    for measurement in (RunMetric, MetricPoint):
        measurement.objects.create(run=run, name="loss", value=0.1 + 0.2, step=2**62, timestamp=NOW)
    RunLogLine.objects.create(run=run, at=NOW, message="a line")
    ModelAlias.objects.create(model=model, alias="champion", version=version)
    CodeAllowance.objects.create(model=model, allowed_by=user, reason="ours")
    _measure_drift(version, metric_value=1e-300)
    deployment.log(sentence("Waited %s seconds.") % 3)
    deployment.events.create(before="deploying", after="active", at=NOW, reason=sentence("Ready."))
    requests = {"deployment_id": deployment.pk}
    RequestLog.objects.create(request_id="r", at=NOW, status=200, latency_ms=1.5, **requests)
    RequestSums.objects.create(span="hour", start=NOW, last_at=NOW, histogram={"1": 2}, **requests)
    audit.seal()
    raise_alert(
        key="k", domain=Domain.CORE, severity="low", title=sentence("Disk %s full") % 90, message="soon"
    )
    _leave_a_deployment_draining(version)
    _leave_a_deployment_in_progress(version)
    return deployment


def put_behind_an_endpoint(deployment: Deployment, **fields: Any) -> None:
    endpoint = Endpoint.objects.create(model_name=deployment.model.name, environment=deployment.environment)
    target = Target.objects.create(
        endpoint=endpoint,
        deployment_id=deployment.pk,
        model_version=1,
        model_path=f"/somewhere/else/models/{deployment.content_sha256}",
        instance_type="small",
        **{"state": "serving", "weight": 100, **fields},
    )
    Replica.objects.create(target=target, name=f"replica-{target.pk}", state="ready", pid=1)


def _measure_drift(version: Any, **fields: Any) -> None:
    DriftEvent.objects.create(
        model_version=version, detected_at=NOW, severity="low", metric_name="psi", threshold=1, **fields
    )


def _leave_a_deployment_draining(version: Any) -> None:
    replaced = make_deployment(model_version=version, status="terminated", environment="staging")
    put_behind_an_endpoint(replaced, state="draining", weight=0)


def _leave_a_deployment_in_progress(version: Any) -> None:
    """A worker had it when the machine was lost."""
    days = timezone.timedelta(days=3)
    make_deployment(
        model_version=version,
        status="validating",
        environment="production",
        stage_started_at=NOW - days,
        lease_expires_at=NOW + days,
    )
