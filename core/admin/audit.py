"""The audit trail: read by everybody, changed by nobody, verified by admins."""

from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import Q
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import URLPattern, path, reverse
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_POST

from core.admin import filters
from core.admin.actions import actor_of
from core.admin.base import PlatformAdmin
from core.admin.columns import moment, shortened, structured
from core.models import AuditChain, AuditEvent
from core.operations import audit
from core.roles import Domain, Right, may
from core.translation import gettext

AT = moment("at", _("time (UTC)"))
DOORS = [
    ("page", _("Page")),
    ("api", _("API")),
    ("mlflow", "MLflow"),
    ("admin", _("Admin site")),
    ("celery", _("Worker")),
    ("command", _("Command")),
]


@admin.register(AuditEvent)
class AuditEventAdmin(PlatformAdmin):
    list_display = (
        AT,
        "actor_name",
        "action",
        "object_name",
        "domain",
        "via",
        shortened("reason", _("reason")),
    )
    list_display_links = (AT, "action")
    sortable_by = ()  # newest first, by id: any other order would sort the whole trail
    search_fields = ("object_name", "action", "actor_name", "reason")
    search_help_text = _("Object, action, actor or reason")
    list_filter = (
        filters.text("action", _("Action, or how it begins"), lookup="action__startswith"),
        filters.text("actor", _("Actor"), lookup="actor_name"),
        filters.choices("domain", _("Domain"), [(domain.value, domain.value) for domain in Domain]),
        filters.choices("via", _("By way of"), DOORS),
        filters.dates("at", _("Time")),
        filters.text("object_type", _("Object type")),
        filters.text("object_id", _("Object id")),
        filters.text("request_id", _("Request id")),
        filters.conditions(
            "sealed",
            _("Sealed"),
            [("yes", _("Yes"), Q(sequence__isnull=False)), ("no", _("Not yet"), Q(sequence=None))],
        ),
    )
    list_before_template = "admin/verify_audit.html"
    facts = (
        AT,
        "actor_name",
        "action",
        "object_name",
        "object_type",
        "object_id",
        structured("changes", _("changes (before, after)")),
        "reason",
        "domain",
        "via",
        "address",
        "token_hint",
        "request_id",
        "sequence",
        "previous_hash",
        "hash",
    )

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        return super().changelist_view(request, {"can_verify": _may_verify(request)} | (extra_context or {}))

    def get_urls(self) -> list[URLPattern]:
        verify = self.admin_site.admin_view(require_POST(self.verify))
        return [path("verify/", verify, name="verify_audit"), *super().get_urls()]

    def verify(self, request: HttpRequest) -> HttpResponse:
        """Recompute the chain, as `manage.py verify_audit` does. It reads the whole trail, so only admins may ask."""
        if not _may_verify(request):
            raise PermissionDenied
        try:
            sealed, waiting = audit.verify()
        except ValueError as fault:
            messages.error(request, gettext("The audit trail does not hold: %s") % fault)
        else:
            messages.success(
                request,
                gettext("The audit trail holds: %(sealed)d rows sealed, %(waiting)d waiting to be.")
                % {"sealed": sealed, "waiting": waiting},
            )
        return redirect(reverse("admin:core_auditevent_changelist"))


def _may_verify(request: HttpRequest) -> bool:
    return may(actor_of(request), Right.ADMINISTER, domain=Domain.CORE)


@admin.register(AuditChain)
class AuditChainAdmin(PlatformAdmin):
    """The head of the chain, to be written down elsewhere."""

    list_display = facts = ("sequence", "hash")
