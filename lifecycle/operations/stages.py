"""Move model versions between stages, and archive them."""

from collections.abc import Iterable

from django.conf import settings
from django.db import transaction

from core.errors import Conflict
from core.models import User
from core.operations import audit
from core.roles import Domain, Right, may, require
from core.translation import gettext as _
from lifecycle.models import Deployment, ModelVersion, RegisteredModel
from lifecycle.permissions import approval_gap, stage_fits
from lifecycle.states import IN_PROGRESS, DeploymentStatus, Environment, Stage


@transaction.atomic
def move_stage(
    *,
    actor: User | None,
    version: ModelVersion,
    stage: str,
    reason: str = "",
    archive_others: bool = False,
) -> ModelVersion:
    """Put a version into another stage; into the one it is in, nothing changes.

    Authors with the right may move their own: the second pair of eyes is the approval, which the stages named
    in APPROVAL_REQUIRED_STAGES take. An installation that names none goes without review, and its authors move
    versions as in plain MLflow. `archive_others` archives what else is in that stage. Raises Conflict without an
    approval, and while a version serves where its new stage would not let it: nothing is moved then.
    """
    _require_right_to_move(actor)
    # The model first, as whatever changes it and its versions: so no two wait for each other.
    model = RegisteredModel.objects.locked(version.model_id)
    version = ModelVersion.objects.locked(version.pk)
    if stage != version.stage:
        _move(actor, version, stage, reason)
        model.save(update_fields=["updated_at"])
    if archive_others:
        others = ModelVersion.objects.kept().filter(model=model, stage=stage).exclude(pk=version.pk)
        for other in others.order_by("pk"):
            _move(actor, ModelVersion.objects.locked(other.pk), Stage.ARCHIVED, reason)
    return version


def _move(actor: User | None, version: ModelVersion, stage: str, reason: str) -> None:
    if stage in settings.APPROVAL_REQUIRED_STAGES and (gap := approval_gap(version)):
        raise Conflict(gap, code="approval_required")
    refuse_while_deployed(version, [place for place in Environment if not stage_fits(stage, place)])
    before, version.stage = version.stage, stage
    version.save(update_fields=["stage", "updated_at"])
    audit.record(
        actor=actor,
        action="model_version.archive" if stage == Stage.ARCHIVED else "model_version.move_stage",
        target=version,
        domain=Domain.LIFECYCLE,
        changes={"stage": [before, stage]},
        reason=reason,
    )


def _require_right_to_move(actor: User | None) -> None:
    if settings.APPROVAL_REQUIRED_STAGES or not may(actor, Right.AUTHOR, domain=Domain.LIFECYCLE):
        require(actor, Right.DECIDE, domain=Domain.LIFECYCLE)


def archive(*, actor: User | None, version: ModelVersion, reason: str = "") -> ModelVersion:
    """Take a version out of use. Raises Conflict while it serves, or is on its way, or is archived."""
    _require_right_to_move(actor)
    if version.stage == Stage.ARCHIVED:
        raise Conflict(_("%s is archived already.") % version)
    return move_stage(actor=actor, version=version, stage=Stage.ARCHIVED, reason=reason)


def refuse_while_deployed(version: ModelVersion, environments: Iterable[str]) -> None:
    """Raise Conflict, naming where, while `version` serves or is on its way to one of `environments`."""
    deployments = Deployment.objects.filter(
        model_version=version,
        environment__in=list(environments),
        status__in=[DeploymentStatus.ACTIVE, *IN_PROGRESS],
    )
    places = sorted({deployment.environment for deployment in deployments})
    if places:
        raise Conflict(
            _("%(version)s serves, or is about to serve, in %(places)s. End that deployment first.")
            % {"version": version, "places": ", ".join(places)},
            code="version_deployed",
        )
