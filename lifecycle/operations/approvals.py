"""Approve and reject model versions, and start their review over."""

from collections.abc import Iterable

from django.db import transaction
from django.utils import timezone

from core.errors import Conflict, Invalid, NotAllowed
from core.models import User
from core.models.alerts import Severity
from core.operations import audit
from core.operations.alerts import raise_alert, resolve_alert, resolve_alerts
from core.roles import Domain, Right, require
from core.translation import gettext as _
from lifecycle.models import ModelVersion
from lifecycle.operations.stages import refuse_while_deployed
from lifecycle.permissions import approval_refusal
from lifecycle.states import ChecklistStatus, Environment, Stage

PROTECTED = (Environment.STAGING, Environment.PRODUCTION)


@transaction.atomic
def approve(
    *, actor: User, version: ModelVersion, approval_notes: str = "", content_sha256: str = ""
) -> ModelVersion:
    """Approve the files of `version` as they are now; `content_sha256` says which were looked at.

    It may be left out while they are those registered. Once they changed, an author could change them again,
    tick the list again, and have somebody approve who looked before: so then it has to be said. Raises
    NotAllowed for whoever had a hand in it; Conflict when its checklist is empty or not all approved, when it
    is approved or archived already, or when its files are not those looked at.
    """
    version = _decidable(actor, version)
    if version.approved_at:
        raise Conflict(_("%s was approved already.") % version)
    if content_sha256 and content_sha256 != version.content_sha256:
        raise Conflict(_("The files of %s changed since you looked at them. Look again.") % version)
    if version.files_changed_at and not content_sha256:
        raise Conflict(
            _(
                "The files of %s changed since it was registered. Look at them, and send the content_sha256 that the "
                "version shows then."
            )
            % version,
            code="content_sha256_required",
        )
    _refuse_open_checklist(version)
    version.approved_by, version.approved_at = actor, timezone.now()
    version.approved_sha256, version.approval_notes = version.content_sha256, approval_notes
    version.rejected_by = version.rejected_at = None
    _save_decision(version)
    resolve_alert(key=_alert_key(version), reason=_("Approved again."))
    audit.record(
        actor=actor,
        action="model_version.approve",
        target=version,
        domain=Domain.LIFECYCLE,
        changes={"approved_sha256": version.approved_sha256},
        reason=approval_notes,
    )
    return version


@transaction.atomic
def reject(*, actor: User, version: ModelVersion, reason: str) -> ModelVersion:
    """Refuse `version`, or take its approval back, saying why.

    Raises NotAllowed for whoever had a hand in it; Conflict while it serves, or is on its way, in staging or
    production.
    """
    if not reason.strip():
        raise Invalid(_("Say why, so that the author can act on it."), fields={"reason": _("required")})
    version = _decidable(actor, version)
    refuse_while_deployed(version, PROTECTED)
    taken_back = _taken_back(version)
    version.rejected_by, version.rejected_at, version.approval_notes = actor, timezone.now(), reason
    _save_decision(version)
    resolve_alert(key=_alert_key(version), reason=_("Rejected."))
    audit.record(
        actor=actor,
        action="model_version.reject",
        target=version,
        domain=Domain.LIFECYCLE,
        changes=taken_back,
        reason=reason,
    )
    return version


def start_over(*, actor: User | None, version: ModelVersion, reason: str) -> None:
    """Ask for everything anew because the files changed: what was ticked and decided was about others.

    What was approved, rejected and ticked, when and by whom, stays in the audit trail. Called in the
    transaction of the change, with the version locked.
    """
    if version.approved_at:
        _void(actor, version, reason)
    reopen(actor=actor, version=version, reason=reason)
    done = version.checklist.exclude(status=ChecklistStatus.PENDING)
    names = list(done.values_list("name", flat=True))
    if names:
        done.update(status=ChecklistStatus.PENDING, completed_at=None, completed_by=None)
        audit.record(
            actor=actor,
            action="model_version.checklist_reset",
            target=version,
            domain=Domain.LIFECYCLE,
            changes={"items": names},
            reason=reason,
        )


def reopen(*, actor: User | None, version: ModelVersion, reason: str) -> None:
    """Let a rejected version be decided about again, because something was done about it since.

    Nothing happens to one that is not rejected. Called in a transaction, with the version locked.
    """
    if not version.rejected_at:
        return
    before = {
        "rejected_by": [version.rejected_by.username if version.rejected_by else None, None],
        "rejected_at": [version.rejected_at.isoformat(), None],
        "approval_notes": [version.approval_notes, None],
    }
    version.rejected_by = version.rejected_at = None
    version.approval_notes = ""
    _save_decision(version)
    audit.record(
        actor=actor,
        action="model_version.reopen",
        target=version,
        domain=Domain.LIFECYCLE,
        changes=before,
        reason=reason,
    )


def _void(actor: User | None, version: ModelVersion, reason: str) -> None:
    taken_back = _taken_back(version)
    version.approval_notes = ""
    _save_decision(version)
    audit.record(
        actor=actor,
        action="model_version.approval_void",
        target=version,
        domain=Domain.LIFECYCLE,
        changes=taken_back,
        reason=reason,
    )
    raise_alert(
        key=_alert_key(version),
        domain=Domain.LIFECYCLE,
        severity=Severity.HIGH,
        title=_("The approval of %s is void") % version,
        message=reason,
        object_type="modelversion",
        object_id=str(version.pk),
    )


def resolve_void_approvals(versions: Iterable[ModelVersion]) -> None:
    """Close what was raised about these versions' approvals: they are deleted."""
    resolve_alerts(keys=[_alert_key(version) for version in versions], reason=_("The version was deleted."))


def _decidable(actor: User, version: ModelVersion) -> ModelVersion:
    """The version that `actor` may decide about, locked: of two at once, one sees the other's word."""
    require(actor, Right.DECIDE, domain=Domain.LIFECYCLE)
    version = ModelVersion.objects.locked(version.pk)
    if refusal := approval_refusal(actor, version):
        raise NotAllowed(refusal, code="four_eyes")
    if version.stage == Stage.ARCHIVED:
        raise Conflict(_("%s is archived. Move it to another stage first.") % version)
    return version


def _refuse_open_checklist(version: ModelVersion) -> None:
    items = list(version.checklist.all())
    if not items:
        raise Conflict(
            _("The checklist is empty. Add what has to be checked first."), code="checklist_incomplete"
        )
    still_open = [item.name for item in items if item.status != ChecklistStatus.APPROVED]
    if still_open:
        raise Conflict(
            _("Not yet approved on the checklist: %s.") % "; ".join(still_open), code="checklist_incomplete"
        )


def _taken_back(version: ModelVersion) -> dict[str, list[str | None]]:
    """Clear the approval, if there is one; returns what it was, for the audit row."""
    if not version.approved_at:
        return {}
    before = {
        "approved_by": [version.approved_by.username if version.approved_by else None, None],
        "approved_at": [version.approved_at.isoformat(), None],
        "approved_sha256": [version.approved_sha256, None],
        "approval_notes": [version.approval_notes, None],
    }
    version.approved_by = version.approved_at = None
    version.approved_sha256 = ""
    return before


def _save_decision(version: ModelVersion) -> None:
    version.save(
        update_fields=[
            "approved_by",
            "approved_at",
            "approved_sha256",
            "approval_notes",
            "rejected_by",
            "rejected_at",
            "updated_at",
        ]
    )


def _alert_key(version: ModelVersion) -> str:
    return f"approval-void-{version.pk}"
