from typing import Any

import django_filters
from django.db.models import QuerySet
from django.utils.translation import gettext_lazy as _
from rest_framework import serializers
from rest_framework.request import Request

from core.api.filters import MomentFilter
from core.api.serializers import Username
from core.api.views import Listed, Resource
from core.models import AuditEvent
from core.roles import Domain, Right, require


class AuditEventSerializer(serializers.ModelSerializer):
    actor = Username()

    class Meta:
        model = AuditEvent
        fields = [
            "id",
            "at",
            "actor",
            "actor_name",
            "action",
            "domain",
            "object_type",
            "object_id",
            "object_name",
            "changes",
            "reason",
            "via",
            "request_id",
            "sequence",
            "previous_hash",
            "hash",
        ]


class AuditFilters(django_filters.FilterSet):
    actor = django_filters.CharFilter(field_name="actor_name")
    after = MomentFilter(field_name="at", lookup_expr="gte")
    before = MomentFilter(field_name="at", lookup_expr="lt")

    class Meta:
        model = AuditEvent
        fields = ["action", "domain", "object_type", "object_id", "request_id", "via"]


class AuditEventViewSet(Listed, Resource):
    """The audit trail: read by everybody, written by nobody, exported by admins.

    Each row carries the hash of the one before it, some seconds after it was written.
    """

    noun, plural, tag = _("audit event"), _("audit events"), "Audit trail"
    domain = None
    serializer_class = AuditEventSerializer
    filterset_class = AuditFilters
    ordering_fields = ("at", "id")
    search_fields = ("object_name", "action", "actor_name", "reason")
    export_name = "audit"

    def get_queryset(self) -> QuerySet[AuditEvent]:
        return AuditEvent.objects.visible_to(self.actor).select_related("actor")

    def list(self, request: Request, *args: Any, **kwargs: Any) -> Any:
        if "export" in request.query_params:
            require(self.actor, Right.ADMINISTER, domain=Domain.CORE)
        return super().list(request, *args, **kwargs)
