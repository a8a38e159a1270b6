from typing import Any

import django_filters
from django.db.models import QuerySet
from django.utils.translation import gettext_lazy as _
from rest_framework import serializers
from rest_framework.decorators import action
from rest_framework.request import Request

from core.api.filters import TrueOrFalseFilter
from core.api.serializers import StrictSerializer, Username
from core.api.views import Listed, Resource, Response
from core.models import Alert
from core.operations.alerts import acknowledge_alert


class AlertSerializer(serializers.ModelSerializer):
    title = serializers.CharField()
    message = serializers.CharField()
    acknowledged_by = Username()

    class Meta:
        model = Alert
        fields = [
            "id",
            "domain",
            "severity",
            "title",
            "message",
            "object_type",
            "object_id",
            "url",
            "raised_at",
            "resolved_at",
            "acknowledged_at",
            "acknowledged_by",
            "note",
        ]


class Acknowledgement(StrictSerializer):
    example = {"note": "A new version is on its way."}

    note = serializers.CharField(required=False, allow_blank=True, default="")


class AlertFilters(django_filters.FilterSet):
    open = TrueOrFalseFilter(field_name="resolved_at", lookup_expr="isnull")
    acknowledged = TrueOrFalseFilter(field_name="acknowledged_at", lookup_expr="isnull", exclude=True)

    class Meta:
        model = Alert
        fields = ["severity", "domain"]


class AlertViewSet(Listed, Resource):
    """Alerts of every part of the platform: what needs a person. They open and resolve by themselves."""

    noun, plural, tag = _("alert"), _("alerts"), "Alerts"
    domain = None
    serializer_class = AlertSerializer
    inputs = {"acknowledge": Acknowledgement}
    filterset_class = AlertFilters
    ordering_fields = ("raised_at", "severity")
    search_fields = ("title__text", "message__text")
    export_name = "alerts"

    def get_queryset(self) -> QuerySet[Alert]:
        return Alert.objects.visible_to(self.actor).select_related("acknowledged_by")

    @action(detail=True, methods=["post"])
    def acknowledge(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """Acknowledge an alert.

        Somebody has seen it and takes care. It stays open until what it is about is over.
        """
        alert = self.get_object()
        acknowledged = acknowledge_alert(actor=self.actor, alert=alert, **self.parse())
        return Response(AlertSerializer(acknowledged).data)
