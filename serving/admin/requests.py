"""Requests. Their kept inputs and outputs are callers' data and are not shown."""

from django.contrib import admin
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from core.admin import filters
from core.admin.base import PlatformAdmin
from core.admin.columns import moment, structured
from core.roles import Domain
from serving.models import RequestLog, RequestSums
from serving.states import Span

AT = moment("at", _("time (UTC)"))


@admin.register(RequestLog)
class RequestLogAdmin(PlatformAdmin):
    domain = Domain.SERVING
    list_display = (AT, "request_id", "deployment_id", "status", "latency_ms", "rows", "retried")
    list_display_links = (AT, "request_id")
    ordering = ("-id",)
    sortable_by = ()
    search_fields = ("=request_id",)
    search_help_text = _("Request id, whole")
    list_filter = (
        filters.number("deployment", _("Deployment"), lookup="deployment_id"),
        filters.conditions(
            "outcome",
            _("Outcome"),
            [
                ("good", _("Answered"), Q(status__lt=400)),
                ("caller", _("Refused (4xx)"), Q(status__gte=400, status__lt=500)),
                ("server", _("Failed (5xx)"), Q(status__gte=500)),
            ],
        ),
        filters.dates("at", _("Time")),
    )
    facts = (AT, "request_id", "deployment_id", "status", "latency_ms", "rows", "retried", "user_id")


@admin.register(RequestSums)
class RequestSumsAdmin(PlatformAdmin):
    domain = Domain.SERVING
    list_display = ("start", "span", "deployment_id", "count", "errors", "client_errors", "rows", "last_at")
    ordering = ("-id",)
    sortable_by = ()
    list_filter = (
        filters.number("deployment", _("Deployment"), lookup="deployment_id"),
        filters.choices("span", _("Span"), [(Span.MINUTE.value, _("Minute")), (Span.HOUR.value, _("Hour"))]),
        filters.dates("start", _("Start")),
    )
    facts = (*list_display, "latency_sum_ms", structured("histogram", _("histogram of latencies")))
