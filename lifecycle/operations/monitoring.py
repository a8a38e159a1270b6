"""What is shown of a deployment that serves: its address and figures."""

from collections.abc import Iterable
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.urls import reverse
from django.utils import timezone

from lifecycle.models import Deployment
from serving.operations.traffic import metrics_for

METRICS_DAYS = 7
# What a model served elsewhere shows of what nobody has pushed.
NOT_PUSHED = dict.fromkeys(
    (
        "request_count",
        "error_count",
        "error_rate",
        "avg_latency_ms",
        "p50_latency_ms",
        "p95_latency_ms",
        "p99_latency_ms",
        "last_updated",
    )
)


def metrics_of(deployments: Iterable[Deployment]) -> dict[int, dict[str, Any]]:
    """The figures of each deployment over the last seven days, by its id: from traffic, or as pushed."""
    deployments = list(deployments)
    own = [deployment.pk for deployment in deployments if not deployment.is_external]
    figures = metrics_for(own, since=timezone.now() - timedelta(days=METRICS_DAYS))
    return figures | {
        deployment.pk: NOT_PUSHED | deployment.external_metrics
        for deployment in deployments
        if deployment.is_external
    }


def endpoint_url(deployment: Deployment) -> str:
    """Where predictions of this deployment's place are asked for."""
    if deployment.is_external:
        return deployment.external_endpoint
    return settings.PUBLIC_URL + reverse("invocations", args=[deployment.model.name, deployment.environment])
