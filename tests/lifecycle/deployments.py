"""What the tests of /deployments share: bodies, rows and what is read of an answer."""

from datetime import timedelta

from django.utils import timezone

from lifecycle.endpoint_config import build
from lifecycle.models import Deployment
from serving.operations.targets import Scale, ensure_target, move_traffic
from tests.factories import make_deployment, make_model, make_version

URL = "/api/v1/ml/lifecycle/deployments"
MODELS = "/api/v1/ml/lifecycle/models"
EXTERNAL = {"backend": "external"}
FIGURES = {
    "request_count",
    "error_count",
    "error_rate",
    "avg_latency_ms",
    "p50_latency_ms",
    "p95_latency_ms",
    "p99_latency_ms",
    "last_updated",
}


def at(deployment, suffix=""):
    return f"{URL}/{deployment.pk}{suffix}"


def body(version, /, **fields):
    return {
        "model_name": version.model.name,
        "version": str(version.version),
        "environment": "development",
        **fields,
    }


def make_external(**fields):
    config = build({"backend": "external"}).as_json()
    return make_deployment(
        is_external=True, endpoint_config=config, external_endpoint="https://models.example/x", **fields
    )


def make_history(*statuses, environment="development"):
    """Deployments of versions 1, 2, 3 … of one model, which took traffic in this order."""
    model, began = make_model(), timezone.now() - timedelta(days=1)
    return [
        make_deployment(
            model_version=make_version(model=model, approved=True, stage="production"),
            status=status,
            environment=environment,
            deployed_at=began + timedelta(minutes=number),
        )
        for number, status in enumerate(statuses)
    ]


def make_target(deployment, **scale):
    """Replicas as the pipeline asks for them, with the traffic."""
    target = ensure_target(
        deployment_id=deployment.pk,
        model_name=deployment.model.name,
        environment=deployment.environment,
        model_version=deployment.model_version.version,
        model_path="/nowhere",
        allow_code=False,
        scale=Scale(**{"instance_type": "small", "minimum": 1, "maximum": 1, "initial": 1} | scale),
        wake_task="",
    )
    move_traffic(deployment_id=deployment.pk)
    return target


def status_of(deployment):
    return Deployment.objects.get(pk=deployment.pk).status
