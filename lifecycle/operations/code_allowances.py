"""Which models' files may run code when they load: an admin's word, per registered model or per uploader."""

from django.db import transaction
from django.utils import timezone

from core.errors import Conflict, Invalid
from core.models import User
from core.operations import audit
from core.roles import Domain, Right, require
from core.translation import gettext as _
from lifecycle.models import CodeAllowance, ModelVersion, RegisteredModel
from lifecycle.operations.artifacts import model_files


def code_allowed(version: ModelVersion) -> bool:
    """Whether the files of `version` may run code when they load.

    They may when an admin allowed the model, or allowed every account that uploaded one of the files: a file
    slipped in by somebody else is not covered by the word given to an uploader.
    """
    in_force = CodeAllowance.objects.in_force()
    if in_force.filter(model=version.model_id).exists():
        return True
    uploaders = {file.uploaded_by_id for file in model_files(version.file_owner, version.artifact_path)}
    return bool(uploaders) and uploaders <= set(in_force.values_list("uploader", flat=True)) - {None}


@transaction.atomic
def allow_code(
    *, actor: User | None, reason: str, model: RegisteredModel | None = None, uploader: User | None = None
) -> CodeAllowance:
    """Allow one model, or one uploader. Raises Conflict when that is allowed already."""
    require(actor, Right.ADMINISTER, domain=Domain.LIFECYCLE)
    if (model is None) == (uploader is None):
        raise Invalid(_("Name either a model or an uploader."))
    if not reason.strip():
        raise Invalid(_("Say why these files may run code."), fields={"reason": _("required")})
    _lock(model, uploader)
    if CodeAllowance.objects.in_force().filter(model=model, uploader=uploader).exists():
        raise Conflict(_("This is allowed already."))
    allowance = CodeAllowance.objects.create(model=model, uploader=uploader, allowed_by=actor, reason=reason)
    audit.record(
        actor=actor, action="code_allowance.create", target=allowance, domain=Domain.LIFECYCLE, reason=reason
    )
    return allowance


@transaction.atomic
def revoke_code(*, actor: User | None, allowance: CodeAllowance) -> None:
    """Take the word back: nothing loads by it from now on; what serves goes on. Conflict when revoked."""
    require(actor, Right.ADMINISTER, domain=Domain.LIFECYCLE)
    if not CodeAllowance.objects.in_force().filter(pk=allowance.pk).update(revoked_at=timezone.now()):
        raise Conflict(_("This allowance was revoked already."))
    audit.record(actor=actor, action="code_allowance.revoke", target=allowance, domain=Domain.LIFECYCLE)


def _lock(model: RegisteredModel | None, uploader: User | None) -> None:
    """Whoever allows the same thing at the same time waits, and then sees that it is allowed."""
    if model:
        RegisteredModel.objects.select_for_update(no_key=True).get(pk=model.pk)
    if uploader:
        User.objects.select_for_update(no_key=True).get(pk=uploader.pk)
