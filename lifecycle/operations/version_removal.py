"""Delete model versions, but none that anything else rests on."""

from collections.abc import Sequence

from django.conf import settings
from django.db import transaction
from django.db.models import Exists, OuterRef
from django.utils import timezone

from core.errors import Conflict
from core.models import User
from core.operations import audit
from core.roles import Domain, Right, require
from core.translation import gettext as _
from lifecycle.models import Deployment, ModelVersion, RegisteredModel
from lifecycle.operations.approvals import resolve_void_approvals


@transaction.atomic
def delete_version(*, actor: User, version: ModelVersion) -> None:
    """Put the version aside, and take its aliases away: it is no longer found, its number is not given again, and its
    files may go. Raises Conflict when it has to stay (`refuse_deletion`).
    """
    require(actor, Right.AUTHOR, domain=Domain.LIFECYCLE)
    model = RegisteredModel.objects.locked(version.model_id)
    version = ModelVersion.objects.locked(version.pk)
    refuse_deletion([version])
    aliases = sorted(version.aliases.values_list("alias", flat=True))
    version.aliases.all().delete()
    version.deleted_at = timezone.now()
    version.save(update_fields=["deleted_at", "updated_at"])
    model.save(update_fields=["updated_at"])
    resolve_void_approvals([version])
    audit.record(
        actor=actor,
        action="model_version.delete",
        target=version,
        domain=Domain.LIFECYCLE,
        changes={"aliases": aliases} if aliases else None,
    )


def refuse_deletion(versions: Sequence[ModelVersion]) -> None:
    """Raise Conflict for a version that was deployed, since the records of its predictions name it, and for one in a
    stage that takes an approval.
    """
    deployed = ModelVersion.objects.filter(
        Exists(Deployment.objects.filter(model_version=OuterRef("pk"))),
        pk__in=[version.pk for version in versions],
    )
    if version := deployed.select_related("model").order_by("version").first():
        raise Conflict(_("%s was deployed, and stays for the record. Archive it instead.") % version)
    for version in versions:
        if version.stage in settings.APPROVAL_REQUIRED_STAGES:
            raise Conflict(
                _("%(version)s is in stage “%(stage)s”. Have it moved to another stage, or archived, first.")
                % {"version": version, "stage": version.stage}
            )
