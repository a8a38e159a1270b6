from typing import Any

from django.contrib import admin
from django.db.models import Model
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _
from unfold.decorators import display

from core.admin import filters
from core.admin.actions import RowAction, actor_of, calling
from core.admin.base import PlatformAdmin
from core.admin.columns import person, status
from core.roles import Domain, Right
from core.templatetags.formatting import duration
from lifecycle.models import Run
from lifecycle.operations import runs
from lifecycle.states import RunStatus


@admin.register(Run)
class RunAdmin(PlatformAdmin):
    domain = Domain.LIFECYCLE
    right_to_edit = Right.AUTHOR
    related = ("experiment", "created_by")
    list_display = (
        "title",
        "experiment",
        status("run", "status", _("status"), sortable=False),
        person("created_by", _("created by")),
        "created_at",
        "how_long",
        "deleted_at",
    )
    sortable_by = ("created_at",)
    search_fields = ("name", "=run_id", "experiment__name")
    search_help_text = _("Name, run id or experiment")
    list_filter = (
        filters.choices("status", _("Status"), RunStatus.choices),
        filters.KEPT,
        filters.text("owner", _("Created by"), lookup="created_by__username"),
        filters.number("experiment", _("Number of the experiment"), lookup="experiment_id"),
        filters.dates("created_at", _("Created")),
    )
    editable = ("name", "notes", "dataset_name", "dataset_version")
    facts = (
        "run_id",
        "experiment",
        status("run", "status", _("status")),
        "started_at",
        "completed_at",
        "how_long",
        person("created_by", _("created by")),
        "created_at",
        "updated_at",
        "deleted_at",
    )
    leads_to = (
        (_("Parameters"), "lifecycle.runparameter", "run", "run_id"),
        (_("Metrics"), "lifecycle.runmetric", "run", "run_id"),
        (_("Metric points"), "lifecycle.metricpoint", "run", "run_id"),
        (_("Tags"), "lifecycle.runtag", "run", "run_id"),
        (_("Data sets"), "lifecycle.datasetinput", "run", "run_id"),
        (_("Artifacts"), "lifecycle.artifact", "run", "run_id"),
        (_("Models read and written"), "lifecycle.runmodel", "run", "run_id"),
        (_("Log"), "lifecycle.runlogline", "run", "run_id"),
        (_("Model versions"), "lifecycle.modelversion", "run", "run_id"),
    )
    row_actions = (
        RowAction(
            "delete",
            _("Delete"),
            [Right.AUTHOR],
            calling(runs.delete_run, "run"),
            icon="delete",
            warning=_(
                "It is no longer listed elsewhere. Nothing of it is lost, and it can be restored here."
            ),
        ),
        RowAction(
            "restore",
            _("Restore"),
            [Right.AUTHOR],
            calling(runs.restore_run, "run"),
            icon="restore_from_trash",
        ),
    )

    @display(description=_("name"))
    def title(self, run: Run) -> str:
        return str(run)

    @display(description=_("duration"))
    def how_long(self, run: Run) -> str:
        return duration(run.duration_seconds)

    def edit(self, request: HttpRequest, row: Model, changes: dict[str, Any]) -> None:
        runs.update_run(actor=actor_of(request), run=row, **changes)
