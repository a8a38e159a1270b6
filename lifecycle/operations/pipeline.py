"""Carries a deployment forward: pending → validating → deploying → active.

Every step is short and may be woken twice or killed at any point. The lease keeps two workers from doing the same
step at once; the fence keeps one that lost its lease from writing; the sweep wakes what nobody works on.
"""

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta

from django.conf import settings
from django.db import DatabaseError, connection, transaction
from django.utils import timezone

from core.context import RequestContext, entered
from core.errors import Conflict, DomainError
from core.models.alerts import Severity
from core.operations.alerts import raise_alert, resolve_alerts
from core.queue import enqueue
from core.roles import Domain
from core.sentences import joined
from core.translation import gettext as _
from lifecycle import endpoint_config as configuration
from lifecycle.models import Deployment
from lifecycle.operations.deployments import ADVANCE, check_content, check_may_go_live
from lifecycle.operations.health import forget_health
from lifecycle.operations.validation import CheckedModel, keep_findings, validate
from lifecycle.states import DeploymentStatus, Health
from serving.operations import targets

logger = logging.getLogger(__name__)

LEASE_SECONDS = 6.0


def advance(*, deployment_id: int) -> None:
    """Do the next step of a deployment, unless somebody else is at it or it has ended.

    Whoever woke it, the step is noted under the id of the request that asked for the deployment.
    """
    deployment = Deployment.objects.select_related("model", "model_version").get(pk=deployment_id)
    if not deployment.claim(lease_seconds=LEASE_SECONDS):
        return
    claimed = deployment.status, deployment.fence
    with _kept_lease(deployment), entered(RequestContext(request_id=deployment.request_id, via="celery")):
        try:
            _check_time(deployment)
            STEPS[deployment.status](deployment)
        except DomainError as error:
            _fail_unless_overtaken(deployment.pk, claimed, error)


def wake_stalled() -> int:
    """Wake every deployment in progress that nobody works on; returns how many."""
    stalled = list(Deployment.objects.claimable().values_list("pk", flat=True))
    for deployment_id in stalled:
        enqueue(ADVANCE, deployment_id)
    return len(stalled)


def _begin(deployment: Deployment) -> None:
    with transaction.atomic():
        deployment.move_to(DeploymentStatus.VALIDATING)
        enqueue(ADVANCE, deployment.pk)


def _validate(deployment: Deployment) -> None:
    """Try the model, then ask for replicas of exactly what was tried.

    They are asked for in the transaction of the move: if somebody ended the deployment meanwhile the move fails, and
    no replicas are left that nobody would ever stop. From here on the agent wakes the deployment.
    """
    model = validate(deployment)
    check_content(deployment)
    with transaction.atomic():
        keep_findings(deployment.model_version, model)
        deployment.move_to(DeploymentStatus.DEPLOYING)
        _ask_for_replicas(deployment, model)


def _bring_up(deployment: Deployment) -> None:
    """Once all replicas are ready, move the traffic. Until then the agent wakes this step again."""
    progress = targets.progress(deployment_id=deployment.pk)
    if progress.failure:
        raise Conflict(_("A replica does not come up: %s") % progress.failure)
    if progress.complete:
        _activate(deployment)


def _ask_for_replicas(deployment: Deployment, model: CheckedModel) -> None:
    config = configuration.read(deployment.endpoint_config)
    targets.ensure_target(
        deployment_id=deployment.pk,
        model_name=deployment.model.name,
        environment=deployment.environment,
        model_version=deployment.model_version.version,
        model_path=model.path,
        allow_code=model.allow_code,
        scale=config.scale,
        wake_task=ADVANCE,
    )
    deployment.log(
        _("Bringing up %(number)d × %(profile)s; what serves now goes on until they are ready.")
        % {"number": config.scale.initial, "profile": config.instance_type}
    )


@transaction.atomic
def _activate(deployment: Deployment) -> None:
    """Move the traffic, end what served before, and say so, all at once."""
    check_may_go_live(deployment)
    now = timezone.now()
    previous = (
        Deployment.objects.select_for_update()
        .filter(model=deployment.model_id, environment=deployment.environment, status=DeploymentStatus.ACTIVE)
        .first()
    )
    if previous:
        rolled_back = previous.pk == deployment.rollback_from_id
        previous.move_to(
            DeploymentStatus.ROLLBACK if rolled_back else DeploymentStatus.TERMINATED,
            reason=_why_rolled_back(deployment) if rolled_back else _why_replaced(deployment),
            terminated_at=now,
            health_status=Health.UNKNOWN,
        )
        forget_health(previous)
    deployment.move_to(DeploymentStatus.ACTIVE, deployed_at=now, health_status=Health.HEALTHY)
    targets.move_traffic(deployment_id=deployment.pk)
    _forget_failures(deployment)
    deployment.log(_("Ready: traffic moved here."))


def _why_replaced(deployment: Deployment) -> str:
    return _("Replaced by deployment #%d.") % deployment.pk


def _why_rolled_back(deployment: Deployment) -> str:
    """Told on the deployment that ends, so that its own trail says who went back and why."""
    who = deployment.created_by.username if deployment.created_by else _("the system")
    told = _("Rolled back by %(who)s with deployment #%(id)d.") % {"who": who, "id": deployment.pk}
    return joined([told, deployment.deployment_notes])


def fail(deployment: Deployment, message: str) -> None:
    """End a deployment that cannot go on. What serves is not touched."""
    with transaction.atomic():
        deployment.move_to(
            DeploymentStatus.FAILED, reason=message, error_message=message, terminated_at=timezone.now()
        )
        deployment.log(message, level="error")
        targets.retire(deployment_id=deployment.pk)
        raise_alert(
            key=_failure_key(deployment.pk),
            domain=Domain.LIFECYCLE,
            severity=Severity.HIGH,
            title=_("Deployment failed: %s") % deployment,
            message=message,
            object_type="deployment",
            object_id=str(deployment.pk),
        )


def _failure_key(deployment_id: int) -> str:
    return f"deployment-failed-{deployment_id}"


def _forget_failures(deployment: Deployment) -> None:
    """Earlier attempts that failed here need nobody any more: one has succeeded."""
    failed = Deployment.objects.filter(
        model=deployment.model_id, environment=deployment.environment, status=DeploymentStatus.FAILED
    )
    resolve_alerts(
        keys=[_failure_key(pk) for pk in failed.values_list("pk", flat=True)],
        reason=_("Deployment #%d succeeded.") % deployment.pk,
    )


def _fail_unless_overtaken(deployment_id: int, claimed: tuple[str, int], error: DomainError) -> None:
    """A refusal ends the deployment, unless it only says that somebody else moved or claimed it since."""
    with transaction.atomic():
        deployment = Deployment.objects.select_for_update().get(pk=deployment_id)
        if (deployment.status, deployment.fence) == claimed:
            fail(deployment, error.detail)
        else:
            logger.info("Deployment %s moved on without this step: %s", deployment_id, error.detail)


def _check_time(deployment: Deployment) -> None:
    """Only steps that were begun are timed: what waits for a worker has not failed."""
    if deployment.status == DeploymentStatus.PENDING:
        return
    limit = timedelta(seconds=settings.DEPLOYMENT_STAGE_TIMEOUT_SECONDS)
    if timezone.now() - deployment.stage_started_at > limit:
        raise Conflict(
            _("“%(stage)s” took longer than %(seconds)d seconds.")
            % {"stage": deployment.status, "seconds": limit.total_seconds()}
        )


@contextmanager
def _kept_lease(deployment: Deployment) -> Iterator[None]:
    """Renew the lease for as long as the step runs; a step that ends without a move gives it back."""
    finished = threading.Event()

    def renew() -> None:
        try:
            while not finished.wait(LEASE_SECONDS / 3) and deployment.renew(lease_seconds=LEASE_SECONDS):
                pass
        except DatabaseError:
            logger.exception("The lease of deployment %s could not be renewed", deployment.pk)
        finally:
            connection.close()

    keeper = threading.Thread(target=renew, name=f"lease-{deployment.pk}", daemon=True)
    keeper.start()
    try:
        yield
    finally:
        finished.set()
        keeper.join()
        deployment.release()


STEPS: dict[str, Callable[[Deployment], None]] = {
    DeploymentStatus.PENDING: _begin,
    DeploymentStatus.VALIDATING: _validate,
    DeploymentStatus.DEPLOYING: _bring_up,
}
