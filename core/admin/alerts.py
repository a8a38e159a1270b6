from django.contrib import admin
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from core.admin import filters
from core.admin.actions import RowAction, calling
from core.admin.base import PlatformAdmin
from core.admin.columns import person, sentence, status
from core.admin.forms import NoteForm
from core.models import Alert
from core.models.alerts import Severity
from core.operations.alerts import acknowledge_alert
from core.roles import Domain, Right


@admin.register(Alert)
class AlertAdmin(PlatformAdmin):
    related = ("acknowledged_by",)
    list_display = (
        sentence("title", _("title")),
        status("severity", "severity", _("severity")),
        "domain",
        "raised_at",
        "resolved_at",
        "acknowledged_at",
    )
    search_fields = ("title__text", "=key")
    search_help_text = _("Title, in English")
    list_filter = (
        filters.conditions(
            "state",
            _("State"),
            [
                ("open", _("Open"), Q(resolved_at=None, acknowledged_at=None)),
                ("acknowledged", _("Acknowledged"), Q(acknowledged_at__isnull=False)),
                ("resolved", _("Resolved"), Q(resolved_at__isnull=False)),
            ],
        ),
        filters.choices("severity", _("Severity"), Severity.choices),
        filters.choices("domain", _("Domain"), [(domain.value, domain.value) for domain in Domain]),
        filters.dates("raised_at", _("Raised")),
    )
    facts = (
        "title",
        status("severity", "severity", _("severity")),
        "message",
        "domain",
        "key",
        "object_type",
        "object_id",
        "url",
        "raised_at",
        "resolved_at",
        "acknowledged_at",
        person("acknowledged_by", _("acknowledged by")),
        "note",
    )
    row_actions = (
        RowAction(
            "acknowledge",
            _("Acknowledge"),
            [Right.WATCH],
            calling(acknowledge_alert, "alert"),
            NoteForm,
            icon="visibility",
        ),
    )
