"""Models as MLflow's clients logged them: read here, changed by those clients."""

from django.contrib import admin
from django.utils.translation import gettext_lazy as _

from core.admin import filters
from core.admin.base import PlatformAdmin
from core.admin.columns import moment, person, status
from core.roles import Domain
from lifecycle.admin.run_data import BY_RUN, MeasurementAdmin, RunDataAdmin
from lifecycle.models import LoggedModel, LoggedModelMetric, RunModel
from lifecycle.states import LoggedModelStatus, ModelRole

BY_MODEL = filters.text("logged_model", _("Model id"), lookup="logged_model__model_id")


@admin.register(LoggedModel)
class LoggedModelAdmin(PlatformAdmin):
    domain = Domain.LIFECYCLE
    related = ("experiment", "source_run", "created_by")
    list_display = (
        "name",
        "model_id",
        "experiment",
        status("logged_model", "status", _("status"), sortable=False),
        "source_run",
        person("created_by", _("created by")),
        "created_at",
        "deleted_at",
    )
    sortable_by = ("created_at",)
    search_fields = ("name", "=model_id", "experiment__name")
    search_help_text = _("Name, model id or experiment")
    list_filter = (
        filters.choices("status", _("Status"), LoggedModelStatus.choices),
        filters.KEPT,
        filters.text("run", _("Run id"), lookup="source_run__run_id"),
        filters.dates("created_at", _("Created")),
    )
    facts = (
        "model_id",
        "experiment",
        status("logged_model", "status", _("status")),
        "model_type",
        "source_run",
        "parameters",
        "tags",
        person("created_by", _("created by")),
        "created_at",
        "updated_at",
        "deleted_at",
    )
    leads_to = (
        (_("Metrics"), "lifecycle.loggedmodelmetric", "logged_model", "model_id"),
        (_("Artifacts"), "lifecycle.artifact", "logged_model", "model_id"),
        (_("Runs"), "lifecycle.runmodel", "logged_model", "model_id"),
        (_("Model versions"), "lifecycle.modelversion", "logged_model", "model_id"),
    )


@admin.register(LoggedModelMetric)
class LoggedModelMetricAdmin(MeasurementAdmin):
    related = ("run", "logged_model")
    list_display = (
        "name",
        "number",
        "dataset",
        "dataset_digest",
        "step",
        moment("logged_at", _("time (UTC)")),
        "logged_model",
        "run",
    )
    facts = list_display
    # Names alone have no index here: the metrics of one model are asked for with it.
    search_fields = ()
    search_help_text = None
    list_filter = (BY_MODEL, BY_RUN, filters.text("name", _("Metric")))


@admin.register(RunModel)
class RunModelAdmin(RunDataAdmin):
    related = ("run", "logged_model")
    list_display = facts = (
        status("model_role", "role", _("role"), sortable=False),
        "logged_model",
        "step",
        "run",
    )
    list_filter = (BY_MODEL, BY_RUN, filters.choices("role", _("Role"), ModelRole.choices))
