"""What runs logged, read-only. These tables grow without bound, so that lists come newest first and search whole
names, which indexes find."""

from typing import Any

from django.contrib import admin
from django.utils.translation import gettext_lazy as _
from unfold.decorators import display

from core.admin import filters
from core.admin.base import PlatformAdmin
from core.admin.columns import bytes_, moment, person, plain, shortened
from core.roles import Domain
from lifecycle.models import Artifact, DatasetInput, MetricPoint, RunLogLine, RunMetric, RunParameter, RunTag

AT = moment("at", _("time (UTC)"))
BY_RUN = filters.text("run", _("Run id"), lookup="run__run_id")


class RunDataAdmin(PlatformAdmin):
    domain = Domain.LIFECYCLE
    related = ("run",)
    ordering = ("-id",)
    sortable_by = ()


@admin.register(RunParameter)
class RunParameterAdmin(RunDataAdmin):
    list_display = ("name", shortened("value", _("value")), "run")
    search_fields = ("=name",)
    search_help_text = _("Name, whole")
    list_filter = (BY_RUN,)
    facts = ("name", plain("value", _("value")), "run")


@admin.register(RunTag)
class RunTagAdmin(RunParameterAdmin):
    pass


@admin.register(DatasetInput)
class DatasetInputAdmin(RunDataAdmin):
    list_display = ("name", "digest", shortened("source", _("source")), "run")
    search_fields = ("=name", "=digest")
    search_help_text = _("Name or digest, whole")
    list_filter = (BY_RUN,)
    facts = (
        "name",
        "digest",
        "source_type",
        plain("source", _("source")),
        plain("schema", _("schema")),
        plain("profile", _("profile")),
        "tags",
        "run",
    )


class MeasurementAdmin(RunDataAdmin):
    @display(description=_("value"))
    def number(self, measurement: Any) -> str:
        return str(measurement.number)

    list_display = facts = ("name", "number", "dataset", "step", moment("logged_at", _("time (UTC)")), "run")
    search_fields = ("=name",)
    search_help_text = _("Name, whole")
    list_filter = (BY_RUN, filters.text("dataset", _("Data set")))


@admin.register(RunMetric)
class RunMetricAdmin(MeasurementAdmin):
    pass


@admin.register(MetricPoint)
class MetricPointAdmin(MeasurementAdmin):
    # Names alone have no index here: the points of one metric are asked for with their run.
    search_fields = ()
    search_help_text = None
    list_filter = (BY_RUN, filters.text("name", _("Metric")))


@admin.register(RunLogLine)
class RunLogLineAdmin(RunDataAdmin):
    list_display = (AT, "level", shortened("message", _("message")), "run")
    search_fields = ("message",)
    search_help_text = _("Message")
    list_filter = (BY_RUN, filters.text("level", _("Level")))
    facts = (AT, "level", plain("message", _("message")), "run")


@admin.register(Artifact)
class ArtifactAdmin(RunDataAdmin):
    related = ("run", "logged_model", "uploaded_by")
    list_display = (
        "path",
        "artifact_type",
        bytes_("size_bytes", _("size")),
        "run",
        "logged_model",
        person("uploaded_by", _("uploaded by")),
        "updated_at",
    )
    search_fields = ("path", "=sha256")
    search_help_text = _("Path, or whole SHA-256")
    list_filter = (
        BY_RUN,
        filters.text("logged_model", _("Model id"), lookup="logged_model__model_id"),
        filters.text("type", _("Type"), lookup="artifact_type"),
    )
    facts = (*list_display, "sha256", "created_at")
