"""/drift-events: record, list and acknowledge drift."""

from typing import Any

import django_filters
from django.db.models import QuerySet
from django.utils.translation import gettext_lazy as _
from rest_framework import serializers, status
from rest_framework.decorators import action
from rest_framework.request import Request

from core.api.filters import TrueOrFalseFilter, WholeNumberFilter
from core.api.serializers import NoFields, Number, StrictSerializer, Username
from core.api.views import Listed, Response
from core.models.alerts import Severity
from lifecycle.api.base import LifecycleResource
from lifecycle.models import DriftEvent
from lifecycle.operations import drift
from lifecycle.operations.registry import find_version

MAX_TEXT = 10_000


class DriftEventSerializer(serializers.ModelSerializer):
    model_name = serializers.CharField(source="model_version.model.name")
    version = serializers.IntegerField(source="model_version.version")
    metric_value = Number()
    recorded_by = Username()
    acknowledged_by = Username()

    class Meta:
        model = DriftEvent
        fields = [
            "id",
            "model_name",
            "version",
            "detected_at",
            "severity",
            "metric_name",
            "metric_value",
            "threshold",
            "message",
            "remediation_action",
            "recorded_by",
            "acknowledged_by",
            "acknowledged_at",
        ]


class DriftEventInput(StrictSerializer):
    example = {
        "model_name": "diabetes",
        "version": "3",
        "severity": "high",
        "metric_name": "psi.bmi",
        "metric_value": 0.31,
        "threshold": 0.2,
        "message": "Body mass is higher than in training.",
        "remediation_action": "Train again on this quarter's data.",
    }

    model_name = serializers.CharField(trim_whitespace=False)
    version = serializers.CharField()
    severity = serializers.ChoiceField(choices=Severity.choices)
    metric_name = serializers.CharField(max_length=250)
    metric_value = Number()
    threshold = Number()
    message = serializers.CharField(required=False, allow_blank=True, max_length=MAX_TEXT)
    remediation_action = serializers.CharField(required=False, allow_blank=True, max_length=MAX_TEXT)
    detected_at = serializers.DateTimeField(required=False)


class DriftEventFilters(django_filters.FilterSet):
    model_name = django_filters.CharFilter(field_name="model_version__model__name")
    version = WholeNumberFilter(field_name="model_version__version")
    severity = django_filters.MultipleChoiceFilter(choices=Severity.choices, distinct=False)
    acknowledged = TrueOrFalseFilter(field_name="acknowledged_at", lookup_expr="isnull", exclude=True)


class DriftEventViewSet(Listed, LifecycleResource):
    """Drift that somebody measured: a figure of a model version that went over its threshold."""

    noun, plural, tag = _("drift event"), _("drift events"), "Drift"
    serializer_class = DriftEventSerializer
    inputs = {"create": DriftEventInput, "acknowledge": NoFields}
    refusals = {"create": (404,)}
    filterset_class = DriftEventFilters
    ordering_fields = ("detected_at", "metric_name", "metric_value")
    search_fields = ("metric_name", "message", "model_version__model__name")
    export_name = "drift-events"
    lookup_value_regex = r"\d{1,18}"

    def get_queryset(self) -> QuerySet[DriftEvent]:
        return DriftEvent.objects.visible_to(self.request.user).select_related(
            "model_version__model", "recorded_by", "acknowledged_by"
        )

    def create(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """Record drift.

        Severity “high” and “critical” raise an alert.
        """
        data = self.parse()
        version = find_version(request.user, data.pop("model_name"), data.pop("version"))
        event = drift.record_drift(actor=request.user, version=version, **data)
        return Response(DriftEventSerializer(event).data, status=status.HTTP_201_CREATED)

    @action(detail=True, methods=["post"])
    def acknowledge(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """Acknowledge drift.

        Somebody has seen it. This cannot be undone.
        """
        event = self.get_object()
        self.parse()
        return Response(DriftEventSerializer(drift.acknowledge_drift(actor=request.user, event=event)).data)
