from django.contrib import admin
from django.utils.translation import gettext_lazy as _

from core.admin import filters
from core.admin.actions import RowAction, calling
from core.admin.base import PlatformAdmin
from core.admin.columns import person, status
from core.roles import Domain, Right
from lifecycle.admin.forms import TickForm
from lifecycle.models import ChecklistItem
from lifecycle.operations.checklist import tick
from lifecycle.states import ChecklistStatus


@admin.register(ChecklistItem)
class ChecklistItemAdmin(PlatformAdmin):
    domain = Domain.LIFECYCLE
    related = ("model_version__model", "completed_by")
    list_display = (
        "name",
        "model_version",
        status("checklist_item", "status", _("status"), sortable=False),
        person("completed_by", _("completed by")),
        "completed_at",
    )
    ordering = ("-id",)
    sortable_by = ()
    search_fields = ("name", "model_version__model__name")
    search_help_text = _("Name or model")
    list_filter = (
        filters.choices("status", _("Status"), ChecklistStatus.choices),
        filters.text("model", _("Model"), lookup="model_version__model__name"),
        filters.number("version", _("Number of the model version's row"), lookup="model_version_id"),
    )
    facts = (
        "name",
        "model_version",
        status("checklist_item", "status", _("status")),
        "note",
        person("completed_by", _("completed by")),
        "completed_at",
    )
    row_actions = (
        RowAction("tick", _("Tick"), [Right.TICK], calling(tick, "item"), TickForm, icon="check_box"),
    )
