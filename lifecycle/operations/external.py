"""Deployments of models served elsewhere: tracked here, driven by what their operator pushes."""

from typing import Any

from django.db import transaction
from django.utils import timezone

from core.errors import Conflict, Invalid
from core.models import User
from core.roles import Domain, require
from core.translation import gettext as _
from lifecycle.models import Deployment
from lifecycle.operations.deployments import check_may_go_live, right_to_deploy
from lifecycle.operations.health import forget_health, note_health
from lifecycle.states import DeploymentStatus, Health


@transaction.atomic
def push(
    *,
    actor: User | None,
    deployment: Deployment,
    status: str = "",
    health_status: str = "",
    metrics: dict[str, Any] | None = None,
    reason: str = "",
) -> Deployment:
    """Take over what the place that serves the model says of it.

    Raises Conflict for a deployment that is served from here: its status, health and metrics come from the pipeline
    and its traffic, and nobody may set them. Health is of what serves: before and after, it is refused too.
    """
    deployment = Deployment.objects.select_for_update().get(pk=deployment.pk)
    require(actor, right_to_deploy(deployment.environment), domain=Domain.LIFECYCLE)
    if not deployment.is_external:
        raise Conflict(
            _(
                "Status, health and metrics come from the pipeline and its traffic. "
                "Ask for terminated or rollback only."
            ),
            code="not_external",
        )
    if status and status != deployment.status:
        _move(actor, deployment, status, reason)
    if health_status:
        if deployment.status != DeploymentStatus.ACTIVE:
            raise Conflict(_("Only an active deployment has health; this one is “%s”.") % deployment.status)
        why = reason or _("Pushed by %s.") % (actor or "system")
        note_health(deployment, health_status, why, actor=actor)
    if metrics is not None:
        pushed_at = timezone.now().isoformat().replace("+00:00", "Z")
        deployment.external_metrics = {**metrics, "last_updated": pushed_at}
        deployment.save(update_fields=["external_metrics", "updated_at"])
    return deployment


def _move(actor: User | None, deployment: Deployment, status: str, reason: str) -> None:
    if status == DeploymentStatus.ACTIVE:
        check_may_go_live(deployment)
        _end_previous(actor, deployment)
        deployment.move_to(status, actor=actor, reason=reason, deployed_at=timezone.now())
    elif status == DeploymentStatus.FAILED:
        if not reason.strip():
            raise Invalid(_("Say why it failed."), fields={"reason": _("required")})
        _end(actor, deployment, status, reason, error_message=reason)
    elif status in (DeploymentStatus.TERMINATED, DeploymentStatus.ROLLBACK):
        _end(actor, deployment, status, reason)
    else:
        deployment.move_to(status, actor=actor, reason=reason)


def _end_previous(actor: User | None, deployment: Deployment) -> None:
    previous = (
        Deployment.objects.select_for_update()
        .filter(model=deployment.model_id, environment=deployment.environment, status=DeploymentStatus.ACTIVE)
        .first()
    )
    if previous is None:
        return
    if not previous.is_external:
        raise Conflict(_("Deployment #%d serves from here. Terminate it first.") % previous.pk)
    _end(actor, previous, DeploymentStatus.TERMINATED, _("Replaced by deployment #%d.") % deployment.pk)


def _end(actor: User | None, deployment: Deployment, status: str, reason: str, **changes: Any) -> None:
    deployment.move_to(
        status,
        actor=actor,
        reason=reason,
        terminated_at=timezone.now(),
        health_status=Health.UNKNOWN,
        **changes,
    )
    forget_health(deployment)
