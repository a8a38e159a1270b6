from typing import Any

from django.contrib import admin
from django.db.models import Model
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from core.admin import filters
from core.admin.actions import RowAction, actor_of, calling
from core.admin.base import PlatformAdmin
from core.admin.columns import person, status
from core.roles import Domain, Right
from lifecycle.admin.forms import ExperimentForm
from lifecycle.models import Experiment
from lifecycle.operations import experiments
from lifecycle.states import ExperimentStatus


@admin.register(Experiment)
class ExperimentAdmin(PlatformAdmin):
    domain = Domain.LIFECYCLE
    right_to_add = right_to_edit = Right.AUTHOR
    form = add_form = ExperimentForm
    related = ("owner",)
    list_display = (
        "name",
        status("experiment", "status", _("status")),
        person("owner", _("owner")),
        "created_at",
        "updated_at",
    )
    search_fields = ("name", "description")
    search_help_text = _("Name or description")
    list_filter = (
        filters.choices("status", _("Status"), ExperimentStatus.choices),
        filters.text("owner", _("Owner"), lookup="owner__username"),
        filters.dates("created_at", _("Created")),
    )
    editable = ("name", "description", "tags", "metadata")
    facts = (
        status("experiment", "status", _("status")),
        person("owner", _("owner")),
        "created_at",
        "updated_at",
    )
    leads_to = ((_("Runs"), "lifecycle.run", "experiment", "pk"),)
    row_actions = (
        RowAction(
            "archive",
            _("Archive"),
            [Right.AUTHOR],
            calling(experiments.archive_experiment, "experiment"),
            icon="archive",
            warning=_("It stays readable and takes no new runs, until it is restored."),
        ),
        RowAction(
            "restore",
            _("Restore"),
            [Right.AUTHOR],
            calling(experiments.restore_experiment, "experiment"),
            icon="unarchive",
        ),
    )

    def make(self, request: HttpRequest, answers: dict[str, Any]) -> Model:
        return experiments.create_experiment(actor=actor_of(request), **answers)

    def edit(self, request: HttpRequest, row: Model, changes: dict[str, Any]) -> None:
        experiments.update_experiment(actor=actor_of(request), experiment=row, **changes)
