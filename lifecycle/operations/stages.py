"""Move model versions between stages, and archive them."""

from collections.abc import Iterable

from django.conf import settings
from django.db import transaction

from core.errors import Conflict
from core.models import User
from core.operations import audit
from core.roles import Domain, Right, require
from core.translation import gettext as _
from lifecycle.models import Deployment, ModelVersion
from lifecycle.permissions import approval_gap, stage_fits
from lifecycle.states import IN_PROGRESS, DeploymentStatus, Environment, Stage


@transaction.atomic
def move_stage(*, actor: User | None, version: ModelVersion, stage: str, reason: str = "") -> ModelVersion:
    """Put a version into another stage; into the one it is in, nothing changes.

    Authors with the right may move their own: the second pair of eyes is the approval, which the stages named
    in APPROVAL_REQUIRED_STAGES take. Raises Conflict without it, and while the version serves where the new
    stage would not let it.
    """
    require(actor, Right.DECIDE, domain=Domain.LIFECYCLE)
    version = ModelVersion.objects.locked(version.pk)
    if stage == version.stage:
        return version
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
    return version


def archive(*, actor: User | None, version: ModelVersion, reason: str = "") -> ModelVersion:
    """Take a version out of use. Raises Conflict while it serves, or is on its way, or is archived."""
    require(actor, Right.DECIDE, domain=Domain.LIFECYCLE)
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
