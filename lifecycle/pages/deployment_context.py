"""What the deployment pages show, gathered for their templates."""

from datetime import timedelta
from typing import Any

from django.conf import settings
from django.urls import reverse
from django.utils import timezone
from django.utils.formats import date_format

from core.roles import Domain, may
from core.translation import gettext as _
from lifecycle.models import Deployment
from lifecycle.operations.deployments import right_to_deploy, rollback_target
from lifecycle.operations.examples import request_example
from lifecycle.operations.monitoring import endpoint_url
from lifecycle.states import DeploymentStatus
from serving.operations.targets import replicas_of, wanted_replicas
from serving.operations.traffic import series
from serving.states import ReplicaState

TABS = ("logs", "health", "replicas", "call")
HISTORY = timedelta(hours=1)
HISTORY_BUCKETS = 30
CHART_BUCKETS = 60
STAGES = (
    DeploymentStatus.PENDING,
    DeploymentStatus.VALIDATING,
    DeploymentStatus.DEPLOYING,
    DeploymentStatus.ACTIVE,
)


def summary(deployment: Deployment, metrics: dict[str, Any]) -> dict[str, Any]:
    """A deployment in the words of the REST contract, for templates."""
    return {
        "id": deployment.pk,
        "model_name": deployment.model.name,
        "model_version": deployment.model_version.version,
        "experiment_name": deployment.model_version.experiment.name,
        "status": deployment.status,
        "environment": deployment.environment,
        "health_status": deployment.health_status,
        "is_external": deployment.is_external,
        "endpoint": endpoint_url(deployment),
        "endpoint_config": deployment.endpoint_config,
        "metrics": metrics,
        "created_by": deployment.created_by or _("System"),
        "created_at": deployment.created_at,
        "deployed_at": deployment.deployed_at,
        "terminated_at": deployment.terminated_at,
        "rollback_from_id": deployment.rollback_from_id,
        "deployment_notes": deployment.deployment_notes,
        "error_message": deployment.error_message,
        "get_absolute_url": reverse("deployment", args=[deployment.pk]),
    }


def detail(deployment: Deployment, metrics: dict[str, Any], *, user: Any, tab: str) -> dict[str, Any]:
    """Everything the deployment page shows with `tab` open."""
    events = list(deployment.events.select_related("actor"))
    replicas = replicas_of(deployment.pk)
    may_act = may(user, right_to_deploy(deployment.environment), domain=Domain.LIFECYCLE)
    back = rollback_target(deployment) if deployment.status == DeploymentStatus.ACTIVE else None
    ended = deployment.terminated_at is not None
    return {
        "deployment": summary(deployment, metrics),
        "in_progress": deployment.is_in_progress,
        "stages": stepper_stages(deployment, events),
        "history": _history(deployment),
        "events": [
            {
                "before": event.before,
                "after": event.after,
                "at": event.at,
                "actor": event.actor,
                "reason": event.reason,
            }
            for event in reversed(events)
        ],
        "tab": tab,
        "replicas": replicas,
        "ready_replicas": sum(replica.state == ReplicaState.READY for replica in replicas),
        "wanted_replicas": wanted_replicas(deployment.pk),
        "has_replicas": not (ended or deployment.is_external),
        "can_roll_back": may_act and not deployment.is_external,
        "rollback_target": back and summary(back, {}),
        "can_terminate": may_act and not ended,
        "model_url": "",
        "replaced_by": _replaced_by(deployment),
        **(
            _external_panel(deployment)
            if deployment.is_external
            else TAB_CONTEXT.get(tab, _no_context)(deployment)
        ),
    }


def stepper_stages(deployment: Deployment, events: list[Any]) -> list[dict[str, Any]]:
    """The four steps with the time spent in each, read from the timeline."""
    began = {event.after: event.at for event in events}
    ended = deployment.terminated_at or timezone.now()
    reached = [stage for stage in STAGES if stage in began]
    stages = []
    for index, (stage, label) in enumerate(zip(STAGES, _labels(), strict=True)):
        following = STAGES[index + 1] if index + 1 < len(STAGES) else None
        seconds = None
        if stage in began:
            seconds = ((began.get(following) or ended) - began[stage]).total_seconds()
        stages.append(
            {
                "label": label,
                "state": _stage_state(deployment, stage, reached),
                "settled": stage == deployment.status == DeploymentStatus.ACTIVE,
                "seconds": seconds,
            }
        )
    return stages


def _labels() -> tuple[str, str, str, str]:
    return _("Prepare"), _("Validate"), _("Deploy"), _("Monitor")


def _stage_state(deployment: Deployment, stage: str, reached: list[str]) -> str:
    if stage not in reached:
        return "waiting"
    if stage != reached[-1]:
        return "done"
    if deployment.status == DeploymentStatus.FAILED:
        return "failed"
    return "stopped" if deployment.terminated_at else "current"


def _history(deployment: Deployment) -> dict[str, list[float]]:
    points = series(deployment.pk, since=timezone.now() - HISTORY, buckets=HISTORY_BUCKETS)
    answered = [point for point in points if point.request_count]
    return {
        "requests": [point.request_count for point in points] if answered else [],
        "error_rate": [point.error_count / point.request_count for point in answered],
        "p95_latency_ms": [point.p95_latency_ms for point in answered if point.p95_latency_ms is not None],
    }


def _replaced_by(deployment: Deployment) -> dict[str, Any] | None:
    if deployment.status not in (DeploymentStatus.ROLLBACK, DeploymentStatus.TERMINATED):
        return None
    successor = (
        Deployment.objects.filter(
            model=deployment.model_id, environment=deployment.environment, status=DeploymentStatus.ACTIVE
        )
        .with_origin()
        .first()
    )
    return successor and summary(successor, {})


def _logs_tab(deployment: Deployment) -> dict[str, Any]:
    lines = list(deployment.log_lines.all())
    last = lines[-1].pk if lines else 0
    poll = f"{reverse('deployment-log', args=[deployment.pk])}?after={last}"
    return {
        "lines": lines,
        "poll_url": poll if deployment.is_in_progress else "",
        "log_download_url": reverse("deployment-log-file", args=[deployment.pk]),
    }


def _health_tab(deployment: Deployment) -> dict[str, Any]:
    points = series(deployment.pk, since=timezone.now() - HISTORY, buckets=CHART_BUCKETS)
    times = [point.at.isoformat() for point in points]

    def line(name: str, label: str, tone: str = "") -> dict[str, Any]:
        drawn = {"name": label, "data": [getattr(point, name) for point in points]}
        return {**drawn, "tone": tone} if tone else drawn

    return {
        "traffic_chart": {
            "kind": "bar",
            "x": times,
            "time": True,
            "series": [line("request_count", _("Requests")), line("error_count", _("Errors"), "bad")],
        },
        "latency_chart": {
            "kind": "line",
            "unit": "ms",
            "x": times,
            "time": True,
            "series": [
                line("p50_latency_ms", "p50"),
                line("p95_latency_ms", "p95"),
                line("p99_latency_ms", "p99"),
            ],
            "limit": {"name": _("p95 objective"), "value": deployment.endpoint_config["slo_p95_ms"]},
        },
    }


def _call_tab(deployment: Deployment) -> dict[str, Any]:
    return {
        "invocations_url": endpoint_url(deployment),
        "request_example": request_example(deployment.model_version.signature),
    }


def _external_panel(deployment: Deployment) -> dict[str, Any]:
    url = settings.PUBLIC_URL + reverse("deployment-api-detail", args=[deployment.pk])
    figures = '{"request_count": 1200, "error_count": 3, "error_rate": 0.0025, "p95_latency_ms": 38.5}'
    return {"push_snippet": _curl("PATCH", url, f'{{"health_status": "healthy", "metrics": {figures}}}')}


def _no_context(deployment: Deployment) -> dict[str, Any]:
    return {}


def first_deployment_snippet() -> str:
    """The request that starts a deployment, for who has none yet."""
    body = '{"model_name": "my-model", "version": "1", "environment": "development"}'
    return _curl("POST", settings.PUBLIC_URL + reverse("deployment-api-list"), body)


def _curl(method: str, url: str, body: str) -> str:
    headers = '-H "Authorization: Bearer $TOKEN" -H "Content-Type: application/json"'
    return f"curl -X {method} {url} \\\n  {headers} \\\n  -d '{body}'"


TAB_CONTEXT = {"logs": _logs_tab, "health": _health_tab, "call": _call_tab}


def log_as_text(deployment: Deployment) -> str:
    """The log as a file to keep."""
    return "".join(
        f"{date_format(line.at, 'c')} {line.level.upper():7} {line.message}\n"
        for line in deployment.log_lines.all()
    )
