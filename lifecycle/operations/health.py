"""Health of what serves, judged by its real traffic over a sliding window."""

from datetime import timedelta
from typing import Any

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from core.models import User
from core.models.alerts import Severity
from core.operations import audit
from core.operations.alerts import raise_alert, resolve_alert
from core.roles import Domain
from core.sentences import Sentence
from core.translation import gettext as _
from lifecycle.models import Deployment
from lifecycle.states import DeploymentStatus, Health
from serving.operations.targets import ready_replicas
from serving.operations.traffic import metrics_for

UNHEALTHY_ERROR_RATE = 0.20
SEVERITY = {Health.DEGRADED: Severity.MEDIUM, Health.UNHEALTHY: Severity.CRITICAL}


def judge(
    *, ready: int, metrics: dict[str, Any], slo_p95_ms: float, slo_error_rate: float
) -> tuple[Health, str]:
    """The health that `metrics` of the window and the count of `ready` replicas amount to, and why.

    Without traffic a deployment with a ready replica is healthy: its readiness goes through the predict path.
    Without one request that was answered there is no latency to judge.
    """
    if ready == 0:
        return Health.UNHEALTHY, _("No replica is ready.")
    if not metrics["request_count"]:
        return Health.HEALTHY, _("Ready; no traffic lately.")
    error_rate, p95 = metrics["error_rate"], metrics["p95_latency_ms"]
    if error_rate > UNHEALTHY_ERROR_RATE:
        return Health.UNHEALTHY, _("%.1f %% of requests fail.") % (100 * error_rate)
    if error_rate > slo_error_rate:
        return Health.DEGRADED, _("%.1f %% of requests fail.") % (100 * error_rate)
    if p95 is not None and p95 > slo_p95_ms:
        return Health.DEGRADED, _(
            "The 95th percentile of latency is %(p95).0f ms; the objective is %(slo).0f ms."
        ) % {
            "p95": p95,
            "slo": slo_p95_ms,
        }
    return Health.HEALTHY, _("Within its objectives.")


def refresh_health() -> int:
    """Judge every active deployment anew; returns how many changed."""
    active = list(
        Deployment.objects.filter(status=DeploymentStatus.ACTIVE, is_external=False).select_related(
            "model", "model_version"
        )
    )
    ids = [deployment.pk for deployment in active]
    ready = ready_replicas(ids)
    metrics = metrics_for(ids, since=timezone.now() - timedelta(seconds=settings.HEALTH_WINDOW_SECONDS))
    return sum(
        note_health(
            deployment,
            *judge(
                ready=ready[deployment.pk],
                metrics=metrics[deployment.pk],
                slo_p95_ms=deployment.endpoint_config["slo_p95_ms"],
                slo_error_rate=deployment.endpoint_config["slo_error_rate"],
            ),
        )
        for deployment in active
    )


def forget_health(deployment: Deployment) -> None:
    """Close the health alert of a deployment that serves no more."""
    resolve_alert(key=_alert_key(deployment), reason=_("The deployment ended."))


def note_health(deployment: Deployment, health: str, why: str, *, actor: User | None = None) -> bool:
    """Keep a change of health, audited and with an alert that stays open until it is well again.

    `actor` is who pushed it; None is the judgement of its traffic.
    """
    before = deployment.health_status
    if health == before:
        return False
    with transaction.atomic():
        changed = Deployment.objects.filter(
            pk=deployment.pk, status=DeploymentStatus.ACTIVE, health_status=before
        ).update(health_status=health)
        if changed:
            deployment.health_status = health
            _tell(actor, deployment, before, why)
    return bool(changed)


def _tell(actor: User | None, deployment: Deployment, before: str, why: str) -> None:
    health = Health(deployment.health_status)
    audit.record(
        actor=actor,
        action="deployment.health",
        target=deployment,
        domain=Domain.LIFECYCLE,
        changes={"health_status": [before, health]},
        reason=why,
    )
    if health not in SEVERITY:
        resolve_alert(key=_alert_key(deployment), reason=why)
        return
    raise_alert(
        key=_alert_key(deployment),
        domain=Domain.LIFECYCLE,
        severity=SEVERITY[health],
        title=_title(health) % deployment,
        message=why,
        object_type="deployment",
        object_id=str(deployment.pk),
    )


def _title(health: Health) -> Sentence:
    return _("%s is unhealthy") if health == Health.UNHEALTHY else _("%s is degraded")


def _alert_key(deployment: Deployment) -> str:
    return f"deployment-health-{deployment.pk}"
