"""Celery's doors to the lifecycle: each loads nothing and calls one operation."""

from celery import shared_task

from lifecycle.operations import health, pipeline, validation
from serving.operations.targets import live_model_paths


@shared_task(name="lifecycle.advance_deployment")
def advance_deployment(deployment_id: int) -> None:
    pipeline.advance(deployment_id=deployment_id)


@shared_task(name="lifecycle.wake_stalled_deployments")
def wake_stalled_deployments() -> None:
    pipeline.wake_stalled()


@shared_task(name="lifecycle.refresh_health")
def refresh_health() -> None:
    health.refresh_health()


@shared_task(name="lifecycle.clear_model_copies")
def clear_model_copies() -> None:
    validation.clear_unused_copies(in_use=live_model_paths())
