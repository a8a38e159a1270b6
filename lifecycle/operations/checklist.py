"""The checklist that a model version passes before it can be approved."""

from django.db import IntegrityError, transaction
from django.utils import timezone

from core.errors import Conflict, NotFound
from core.lookups import one_or_none
from core.models import User
from core.names import check_visible
from core.operations import audit
from core.roles import Domain, Right, may, require
from core.translation import gettext as _
from lifecycle.models import ChecklistItem, ModelVersion
from lifecycle.operations import approvals
from lifecycle.states import ChecklistStatus


def find_item(version: ModelVersion, item_id: int) -> ChecklistItem:
    """The item of that id on this version's checklist. Raises NotFound."""
    item = one_or_none(version.checklist.filter(pk=item_id))
    if item is None:
        raise NotFound(
            _("%(version)s has no checklist item %(item)s.") % {"version": version, "item": item_id}
        )
    return item


@transaction.atomic
def append_item(*, actor: User | None, version: ModelVersion, name: str) -> ChecklistItem:
    """Add something to check. Authors may, and so may those who decide: they ask for what they want to see.

    A rejected version can be decided about again. Raises Conflict when it is on the list, or the version is
    approved: an approval is of the list as it was.
    """
    if not may(actor, Right.DECIDE, domain=Domain.LIFECYCLE):
        require(actor, Right.AUTHOR, domain=Domain.LIFECYCLE)
    check_visible(name)
    version = _open_to_change(actor, version)
    try:
        with transaction.atomic():
            item = ChecklistItem.objects.create(model_version=version, name=name)
    except IntegrityError as error:
        raise Conflict(_("“%(name)s” is on the checklist already.") % {"name": name}) from error
    audit.record(
        actor=actor,
        action="checklist_item.append",
        target=version,
        domain=Domain.LIFECYCLE,
        changes={"item": item.name},
    )
    return item


@transaction.atomic
def tick(*, actor: User | None, item: ChecklistItem, status: str, note: str | None = None) -> ChecklistItem:
    """Set an item to approved, rejected or back to pending; `note` None leaves the note as it is.

    A rejected version can be decided about again. Raises Conflict when the version is approved: reject it
    first.
    """
    require(actor, Right.TICK, domain=Domain.LIFECYCLE)
    version = _open_to_change(actor, item.model_version)
    item = ChecklistItem.objects.select_for_update().get(pk=item.pk)
    before = item.status
    item.status = status
    item.note = item.note if note is None else note
    is_open = status == ChecklistStatus.PENDING
    item.completed_at = None if is_open else timezone.now()
    item.completed_by = None if is_open else actor
    item.save()
    audit.record(
        actor=actor,
        action=f"checklist_item.{status}",
        target=version,
        domain=Domain.LIFECYCLE,
        changes={"item": item.name, "status": [before, status]},
        reason=item.note,
    )
    return item


def _open_to_change(actor: User | None, version: ModelVersion) -> ModelVersion:
    version = ModelVersion.objects.locked(version.pk)
    if version.approved_at:
        raise Conflict(
            _("%s is approved, and the approval is of its checklist as it is. Reject the version first.")
            % version
        )
    approvals.reopen(actor=actor, version=version, reason=_("Its checklist was worked on again."))
    return version
