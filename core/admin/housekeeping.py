"""Rows the platform keeps for itself."""

from django.contrib import admin
from django.utils.translation import gettext_lazy as _

from core.admin import filters
from core.admin.base import PlatformAdmin
from core.admin.columns import person
from core.models import Heartbeat, IdempotentRequest, RegistryName
from core.models.registry_names import RegistryKind
from core.roles import Right


@admin.register(Heartbeat)
class HeartbeatAdmin(PlatformAdmin):
    list_display = facts = ("component", "at")
    search_fields = ("component",)
    search_help_text = _("Process")


@admin.register(IdempotentRequest)
class IdempotentRequestAdmin(PlatformAdmin):
    """Which answers are kept, and not the answers: those are for whoever asked."""

    right_to_read = Right.ADMINISTER
    related = ("user",)
    list_display = ("created_at", person("user", _("user")), "path", "status")
    ordering = ("-id",)
    sortable_by = ()
    search_fields = ("path", "=user__username")
    search_help_text = _("Path or username")
    list_filter = (
        filters.text("user", _("User"), lookup="user__username"),
        filters.dates("created_at", _("Created")),
    )
    facts = list_display


@admin.register(RegistryName)
class RegistryNameAdmin(PlatformAdmin):
    list_display = facts = ("name", "kind")
    search_fields = ("name",)
    search_help_text = _("Name")
    list_filter = (filters.choices("kind", _("Kind"), RegistryKind.choices),)
