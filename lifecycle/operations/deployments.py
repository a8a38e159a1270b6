"""What people ask of deployments: deploy, terminate, roll back, reconfigure. Celery carries them out."""

from typing import Any

from django.db import IntegrityError, transaction
from django.db.models import Q
from django.utils import timezone

from core.context import current
from core.errors import Conflict, Invalid
from core.models import User
from core.operations import audit
from core.queue import enqueue
from core.roles import Domain, Right, require
from core.sentences import joined
from core.translation import gettext as _
from lifecycle import endpoint_config as configuration
from lifecycle.models import Deployment, ModelVersion
from lifecycle.operations.health import forget_health
from lifecycle.permissions import deployment_blockers
from lifecycle.states import DeploymentStatus, Environment, Health
from serving.operations import targets

ADVANCE = "lifecycle.advance_deployment"


def right_to_deploy(environment: str) -> Right:
    """Development is open to scientists; staging and production belong to operators."""
    return Right.DEPLOY_DEVELOPMENT if environment == Environment.DEVELOPMENT else Right.DEPLOY_PROTECTED


@transaction.atomic
def deploy(
    *,
    actor: User | None,
    version: ModelVersion,
    environment: str,
    endpoint_config: dict[str, Any] | None = None,
    deployment_notes: str = "",
    endpoint: str = "",
) -> Deployment:
    """Ask for `version` to serve in `environment`.

    Raises Conflict when the version may not go there, or when another deployment of the model is on its way there:
    whoever asks second is told so, and nothing is queued behind the first.
    """
    require(actor, right_to_deploy(environment), domain=Domain.LIFECYCLE)
    config = configuration.build(endpoint_config or {})
    if config.is_external:
        configuration.check_external_endpoint(endpoint)
    elif endpoint:
        raise Invalid(
            _("The endpoint is given by the server, unless endpoint_config.backend is “external”."),
            fields={"endpoint": _("set by the server")},
        )
    return _start(
        actor=actor,
        version=version,
        environment=environment,
        endpoint_config=config.as_json(),
        is_external=config.is_external,
        external_endpoint=endpoint,
        deployment_notes=deployment_notes,
    )


@transaction.atomic
def roll_back(*, actor: User | None, deployment: Deployment, reason: str = "") -> Deployment:
    """Ask for the version that served before `deployment` to serve again; returns the new deployment.

    `deployment` goes on serving until the new one is ready, and then ends as “rollback”. Raises Conflict when there is
    nothing to go back to, or when something else is on its way.
    """
    deployment = Deployment.objects.select_for_update().get(pk=deployment.pk)
    require(actor, right_to_deploy(deployment.environment), domain=Domain.LIFECYCLE)
    if deployment.status != DeploymentStatus.ACTIVE:
        raise Conflict(
            _("Only the active deployment can be rolled back; this one is “%s”.") % deployment.status
        )
    if deployment.is_external:
        raise Conflict(_("This model is served elsewhere: roll back there, and push its status here."))
    earlier = rollback_target(deployment)
    if earlier is None:
        raise Conflict(_("There is no earlier version to go back to."), code="nothing_to_roll_back_to")
    if earlier.content_sha256 != earlier.model_version.content_sha256:
        raise Conflict(
            _("The files of %s changed since it served. Deploy a version instead.") % earlier.model_version
        )
    return _start(
        actor=actor,
        version=earlier.model_version,
        environment=deployment.environment,
        endpoint_config=earlier.endpoint_config,
        rollback_from=deployment,
        restores=_original(earlier),
        deployment_notes=reason,
    )


def rollback_target(deployment: Deployment) -> Deployment | None:
    """The deployment whose version served before `deployment`'s, or None.

    A rollback stands where the deployment that it restored stood, so the next one goes further back; versions that
    were rolled back from are passed over, also those whose deployment was ended before the rollback was done.
    """
    served = (
        Deployment.objects.served()
        .filter(model=deployment.model_id, environment=deployment.environment, is_external=False)
        .select_related("model", "model_version")
    )
    left = Q(status=DeploymentStatus.ROLLBACK) | Q(rolled_back_by__deployed_at__isnull=False)
    abandoned = Deployment.objects.filter(
        left, model=deployment.model_id, environment=deployment.environment
    ).values("model_version")
    return (
        served.filter(deployed_at__lt=_original(deployment).deployed_at, rollback_from=None)
        .exclude(model_version__in=abandoned)
        .exclude(model_version=deployment.model_version_id)
        .order_by("-deployed_at", "-pk")
        .first()
    )


@transaction.atomic
def terminate(*, actor: User | None, deployment: Deployment, reason: str = "") -> Deployment:
    """End a deployment, on its way or serving. What serves drains first; other deployments are untouched."""
    deployment = Deployment.objects.select_for_update().get(pk=deployment.pk)
    require(actor, right_to_deploy(deployment.environment), domain=Domain.LIFECYCLE)
    deployment.move_to(
        DeploymentStatus.TERMINATED,
        actor=actor,
        reason=reason,
        terminated_at=timezone.now(),
        health_status=Health.UNKNOWN,
    )
    forget_health(deployment)
    targets.retire(deployment_id=deployment.pk)
    return deployment


@transaction.atomic
def update(
    *,
    actor: User | None,
    deployment: Deployment,
    endpoint_config: dict[str, Any] | None = None,
    deployment_notes: str | None = None,
) -> Deployment:
    """Change scale, profile, objectives or notes of a deployment that has not ended."""
    deployment = Deployment.objects.select_for_update().get(pk=deployment.pk)
    require(actor, right_to_deploy(deployment.environment), domain=Domain.LIFECYCLE)
    changes: dict[str, Any] = {}
    if deployment_notes is not None and deployment_notes != deployment.deployment_notes:
        changes["deployment_notes"] = [deployment.deployment_notes, deployment_notes]
        deployment.deployment_notes = deployment_notes
    if endpoint_config:
        _reconfigure(deployment, endpoint_config, changes)
    if changes:
        deployment.save(update_fields=[*changes, "updated_at"])
        audit.record(
            actor=actor,
            action="deployment.update",
            target=deployment,
            domain=Domain.LIFECYCLE,
            changes=changes,
        )
    return deployment


def _reconfigure(deployment: Deployment, asked: dict[str, Any], changes: dict[str, Any]) -> None:
    if not deployment.is_in_progress and deployment.status != DeploymentStatus.ACTIVE:
        raise Conflict(_("This deployment has ended (“%s”). Deploy again instead.") % deployment.status)
    current = configuration.read(deployment.endpoint_config)
    config = configuration.build(asked, current=current)
    if config == current:
        return
    changes["endpoint_config"] = [current.as_json(), config.as_json()]
    deployment.endpoint_config = config.as_json()
    if not config.is_external and config.scale != current.scale:
        targets.rescale(deployment_id=deployment.pk, scale=config.scale)


def _start(*, actor: User | None, version: ModelVersion, environment: str, **fields: Any) -> Deployment:
    version = ModelVersion.objects.locked(version.pk)
    blockers = deployment_blockers(version, environment)
    if blockers:
        raise Conflict(joined(blockers), code="not_deployable")
    try:
        with transaction.atomic():
            deployment = Deployment.objects.create(
                model=version.model,
                model_version=version,
                environment=environment,
                created_by=actor,
                request_id=current().request_id,
                content_sha256=version.content_sha256,
                **fields,
            )
    except IntegrityError as error:
        raise Conflict(
            _(
                "Another deployment of %(model)s to %(environment)s is in progress. Wait for it, or terminate it."
            )
            % {"model": version.model.name, "environment": environment},
            code="deployment_in_progress",
        ) from error
    deployment.events.create(
        after=deployment.status, actor=actor, reason=deployment.deployment_notes, at=timezone.now()
    )
    audit.record(
        actor=actor,
        action="deployment.roll_back" if deployment.rollback_from_id else "deployment.create",
        target=deployment,
        domain=Domain.LIFECYCLE,
        changes={
            "version": version.version,
            "environment": environment,
            "content_sha256": version.content_sha256,
            "rollback_from": deployment.rollback_from_id,
        },
        reason=deployment.deployment_notes,
    )
    if not deployment.is_external:
        enqueue(ADVANCE, deployment.pk)
    return deployment


def check_may_go_live(deployment: Deployment) -> None:
    """Raise Conflict unless the version may go there now, and is what was asked for."""
    if blockers := deployment_blockers(deployment.model_version, deployment.environment):
        raise Conflict(joined(blockers), code="not_deployable")
    check_content(deployment)


def check_content(deployment: Deployment) -> None:
    """What goes live is what was asked for, even if other files have been approved meanwhile."""
    if deployment.content_sha256 != deployment.model_version.content_sha256:
        raise Conflict(
            _("The files of %s changed since this deployment was asked for. Deploy again.")
            % deployment.model_version
        )


def _original(deployment: Deployment) -> Deployment:
    """The deployment that first served what `deployment` serves: itself, unless it is a rollback's."""
    return deployment.restores or deployment
