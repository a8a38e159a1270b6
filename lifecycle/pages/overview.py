"""The overview: what serves and how healthy, what waits for approval, what failed lately."""

from datetime import timedelta
from typing import Any

from django.db.models import Case, Count, Q, When
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_safe

from core.models import Alert
from core.pages.views import page
from lifecycle.models import Deployment, ModelVersion, Run
from lifecycle.operations.monitoring import metrics_of
from lifecycle.pages.deployment_context import first_deployment_snippet, summary
from lifecycle.states import ChecklistStatus, DeploymentStatus, Health, RunStatus
from serving.operations.traffic import series_for, total_series

SHOWN = 10
MOST_SERVING_SHOWN = 100
UNWELL = (Health.DEGRADED, Health.UNHEALTHY)
RECENT = timedelta(days=7)
DAY = timedelta(hours=24)
HOURS = 24
SPARKLINE = timedelta(minutes=30)


@page
@require_safe
def overview(request: HttpRequest) -> HttpResponse:
    active = Deployment.objects.visible_to(request.user).filter(status=DeploymentStatus.ACTIVE)
    serving = _serving(active)
    waiting = ModelVersion.objects.visible_to(request.user).kept().awaiting_approval()
    failures, failure_count = _failures(request)
    day = total_series(since=timezone.now() - DAY, buckets=HOURS)
    requests = sum(hour.request_count for hour in day)
    errors = sum(hour.error_count for hour in day)
    return render(
        request,
        "core/overview.html",
        {
            "totals": {
                "serving": active.count(),
                "unhealthy": active.filter(health_status__in=UNWELL).count(),
                "requests": requests,
                "requests_per_hour": [hour.request_count for hour in day],
                "error_rate": errors / requests if requests else None,
                "waiting": waiting.count(),
                "failures": failure_count,
            },
            "serving": serving,
            "waiting_approvals": _waiting(waiting),
            "alerts": _alerts(),
            "failures": failures,
            "deployments_url": reverse("deployment-list"),
            "snippet": first_deployment_snippet(),
        },
    )


def _serving(active: Any) -> list[dict[str, Any]]:
    """The rows of the table: what needs somebody first."""
    shown = list(
        active.with_origin().order_by(
            Case(When(health_status__in=UNWELL, then=0), default=1), "model__name", "environment"
        )[:MOST_SERVING_SHOWN]
    )
    figures = metrics_of(shown)
    lines = series_for([deployment.pk for deployment in shown], since=timezone.now() - SPARKLINE, buckets=30)
    return [
        {
            **summary(deployment, figures[deployment.pk]),
            "requests_per_minute": []
            if deployment.is_external
            else [point.request_count for point in lines[deployment.pk]],
        }
        for deployment in shown
    ]


def _alerts() -> list[dict[str, Any]]:
    return [
        {
            "severity": alert.severity,
            "title": alert.title,
            "message": alert.message,
            "raised_at": alert.raised_at,
            "url": alert.page or _page_of(alert),
        }
        for alert in Alert.objects.filter(resolved_at=None, acknowledged_at=None)[:SHOWN]
    ]


def _page_of(alert: Alert) -> str:
    return reverse("deployment", args=[alert.object_id]) if alert.object_type == "deployment" else ""


def _waiting(versions: Any) -> list[dict[str, Any]]:
    counted = versions.select_related("model", "created_by").annotate(
        checklist_total=Count("checklist"),
        checklist_done=Count("checklist", filter=Q(checklist__status=ChecklistStatus.APPROVED)),
    )
    return [
        {
            "model_name": version.model.name,
            "version": version.version,
            "version_label": version.version_label,
            "stage": version.stage,
            "created_by": version.created_by,
            "created_at": version.created_at,
            "checklist_done": version.checklist_done,
            "checklist_total": version.checklist_total,
            "url": None,
        }
        for version in counted[:SHOWN]
    ]


def _failures(request: HttpRequest) -> tuple[list[dict[str, Any]], int]:
    since = timezone.now() - RECENT
    deployments = (
        Deployment.objects.visible_to(request.user)
        .filter(status=DeploymentStatus.FAILED, terminated_at__gt=since)
        .select_related("model", "model_version")
        .order_by("-terminated_at")
    )
    runs = (
        Run.objects.visible_to(request.user)
        .kept()
        .filter(status=RunStatus.FAILED, updated_at__gt=since)
        .order_by("-updated_at")
    )
    rows = [
        {
            "kind": "deployment",
            "title": f"{deployment.model.name} v{deployment.model_version.version}",
            "environment": deployment.environment,
            "error_message": deployment.error_message,
            "at": deployment.terminated_at,
            "url": reverse("deployment", args=[deployment.pk]),
        }
        for deployment in deployments[:SHOWN]
    ] + [
        {
            "kind": "run",
            "title": str(run),
            "environment": "",
            "error_message": "",
            "at": run.updated_at,
            "url": None,
        }
        for run in runs[:SHOWN]
    ]
    newest = sorted(rows, key=lambda row: row["at"], reverse=True)[:SHOWN]
    return newest, deployments.count() + runs.count()
