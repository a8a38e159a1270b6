from django.contrib import admin
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from core.admin import filters
from core.admin.actions import RowAction, calling
from core.admin.base import PlatformAdmin
from core.admin.columns import person, status
from core.models.alerts import Severity
from core.roles import Domain, Right
from lifecycle.models import DriftEvent
from lifecycle.operations.drift import acknowledge_drift


@admin.register(DriftEvent)
class DriftEventAdmin(PlatformAdmin):
    domain = Domain.LIFECYCLE
    related = ("model_version__model", "recorded_by", "acknowledged_by")
    list_display = (
        "detected_at",
        "model_version",
        "metric_name",
        "metric_value",
        "threshold",
        status("severity", "severity", _("severity"), sortable=False),
        "acknowledged_at",
    )
    sortable_by = ("detected_at",)
    search_fields = ("metric_name", "model_version__model__name", "message")
    search_help_text = _("Metric, model or message")
    list_filter = (
        filters.choices("severity", _("Severity"), Severity.choices),
        filters.conditions(
            "state",
            _("State"),
            [
                ("open", _("Open"), Q(acknowledged_at=None)),
                ("acknowledged", _("Acknowledged"), Q(acknowledged_at__isnull=False)),
            ],
        ),
        filters.text("model", _("Model"), lookup="model_version__model__name"),
        filters.number("version", _("Number of the model version's row"), lookup="model_version_id"),
        filters.dates("detected_at", _("Detected")),
    )
    facts = (
        "model_version",
        "detected_at",
        status("severity", "severity", _("severity")),
        "metric_name",
        "metric_value",
        "threshold",
        "message",
        "remediation_action",
        person("recorded_by", _("recorded by")),
        "acknowledged_at",
        person("acknowledged_by", _("acknowledged by")),
    )
    row_actions = (
        RowAction(
            "acknowledge",
            _("Acknowledge"),
            [Right.WATCH],
            calling(acknowledge_drift, "event"),
            icon="visibility",
        ),
    )
