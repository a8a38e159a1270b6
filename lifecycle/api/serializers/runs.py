"""Runs, what is logged to them and their files, as the contract shows and takes them."""

import json
from typing import Any

from django.conf import settings
from django.urls import reverse
from drf_spectacular.utils import extend_schema_field, extend_schema_serializer
from rest_framework import serializers

from core.api.serializers import Number, StrictSerializer, Tags, Username
from core.errors import Invalid
from core.milliseconds import milliseconds_of
from core.names import MAX_KEY, check_key
from core.translation import gettext as _
from lifecycle.api.base import Paged, Parameters
from lifecycle.models import Artifact, MetricPoint, Run, RunLogLine, RunMetric, RunParameter
from lifecycle.operations.metrics import LARGEST_INTEGER, SMALLEST_INTEGER
from lifecycle.states import RunStatus

MAX_NAME = 500
MAX_LINE = 10_000
LEVELS = ["debug", "info", "warning", "error", "critical"]


class Key(serializers.CharField):
    """The name of a metric or a parameter."""

    def __init__(self, **options: Any):
        super().__init__(max_length=MAX_KEY, **options)

    def to_internal_value(self, data: Any) -> str:
        try:
            return check_key(super().to_internal_value(data))
        except Invalid as error:
            raise serializers.ValidationError(error.detail) from error


class AsText(serializers.CharField):
    """Text; numbers, true and false are taken as the text that stands for them in JSON."""

    def to_internal_value(self, data: Any) -> str:
        if isinstance(data, (bool, int, float)):
            data = json.dumps(data)
        return super().to_internal_value(data)


class ParameterSerializer(serializers.ModelSerializer):
    class Meta:
        model = RunParameter
        fields = ["name", "value"]


class ParameterInput(StrictSerializer):
    name = Key()
    value = AsText(max_length=6000, allow_blank=True, trim_whitespace=False)


class MetricSerializer(serializers.ModelSerializer):
    """The latest value of a metric."""

    metric_name = serializers.CharField(source="name")
    value = Number(source="number")

    class Meta:
        model = RunMetric
        fields = ["metric_name", "value", "dataset"]


class Milliseconds(serializers.DateTimeField):
    """A moment that is kept to the millisecond."""

    def to_internal_value(self, value: Any) -> int:
        return milliseconds_of(super().to_internal_value(value))


class PointSerializer(MetricSerializer):
    """One point of a metric's history."""

    timestamp = serializers.DateTimeField(source="logged_at")

    class Meta:
        model = MetricPoint
        fields = ["metric_name", "value", "step", "timestamp", "dataset"]


class PointInput(StrictSerializer):
    metric_name = Key()
    value = Number()
    dataset = serializers.CharField(required=False, allow_blank=True, max_length=250)
    step = serializers.IntegerField(required=False, min_value=SMALLEST_INTEGER, max_value=LARGEST_INTEGER)
    timestamp = Milliseconds(required=False)


class MetricsInput(StrictSerializer):
    example = {
        "metrics": [
            {"metric_name": "loss", "value": 0.62, "step": 1},
            {"metric_name": "accuracy", "value": 0.9432, "dataset": "test", "step": 1},
        ]
    }

    metrics = PointInput(many=True, allow_empty=False)


class ArtifactSerializer(serializers.ModelSerializer):
    uri = serializers.SerializerMethodField(help_text="Where to download it.")

    class Meta:
        model = Artifact
        fields = ["name", "path", "uri", "artifact_type", "size_bytes", "sha256"]

    def get_uri(self, artifact: Artifact) -> str:
        return download_uri(artifact.run.run_id, artifact.path)


def download_uri(run_id: str, path: str) -> str:
    place = reverse("run-artifact-api-detail", kwargs={"run_id": run_id, "path": path})
    return f"{settings.PUBLIC_URL}{place}"


class RunSerializer(serializers.ModelSerializer):
    experiment_name = serializers.CharField(source="experiment.name")
    parameters = ParameterSerializer(many=True)
    metrics = MetricSerializer(many=True)
    tags = serializers.SerializerMethodField()
    artifacts = ArtifactSerializer(many=True)
    created_by = Username()

    class Meta:
        model = Run
        fields = [
            "run_id",
            "experiment_name",
            "name",
            "status",
            "started_at",
            "completed_at",
            "duration_seconds",
            "parameters",
            "metrics",
            "dataset_name",
            "dataset_version",
            "tags",
            "artifacts",
            "notes",
            "created_by",
            "created_at",
            "updated_at",
        ]

    @extend_schema_field(Tags())
    def get_tags(self, run: Run) -> dict[str, str]:
        return {tag.name: tag.value for tag in run.tag_rows.all()}


class RunChange(StrictSerializer):
    """What a PATCH may hold; a POST takes the same and says which experiment."""

    example: dict[str, Any] = {
        "status": "completed",
        "metrics": [{"metric_name": "accuracy", "value": 0.9432, "dataset": "test"}],
        "tags": {"team": "risk"},
    }

    name = serializers.CharField(required=False, allow_blank=True, max_length=MAX_NAME)
    status = serializers.ChoiceField(required=False, choices=RunStatus.choices)
    completed_at = serializers.DateTimeField(required=False)
    parameters = ParameterInput(many=True, required=False)
    metrics = PointInput(many=True, required=False)
    tags = Tags(required=False)
    dataset_name = serializers.CharField(required=False, allow_blank=True, max_length=250)
    dataset_version = serializers.CharField(required=False, allow_blank=True, max_length=100)
    notes = serializers.CharField(required=False, allow_blank=True, trim_whitespace=False, max_length=100_000)


class RunInput(RunChange):
    example = {
        "experiment_name": "diabetes",
        "name": "ridge",
        "parameters": [{"name": "alpha", "value": "1.0"}],
        "dataset_name": "diabetes",
        "dataset_version": "2026-03",
    }

    experiment_name = serializers.CharField(max_length=500)
    started_at = serializers.DateTimeField(required=False)


class LogLineSerializer(serializers.ModelSerializer):
    class Meta:
        ref_name = "RunLogLine"
        model = RunLogLine
        fields = ["id", "at", "level", "message"]


class LineInput(StrictSerializer):
    message = serializers.CharField(allow_blank=True, trim_whitespace=False, max_length=MAX_LINE)
    level = serializers.ChoiceField(required=False, choices=LEVELS)
    at = serializers.DateTimeField(required=False)


class LinesInput(StrictSerializer):
    example = {"lines": [{"message": "epoch 1: loss 0.62", "level": "info"}]}

    lines = LineInput(many=True, allow_empty=False)


class MetricsLoggedSerializer(serializers.Serializer):
    logged = serializers.IntegerField()


class LinesLoggedSerializer(serializers.Serializer):
    logged = serializers.IntegerField()
    last_id = serializers.IntegerField(help_text="Of the last line of the run's log.")


@extend_schema_serializer(many=False)
class RunLogLinesSerializer(serializers.Serializer):
    results = LogLineSerializer(many=True)
    after = serializers.IntegerField(help_text="What to ask with as `after` for the lines that follow.")


class HistoryQuery(Paged):
    key = serializers.CharField(required=False)
    dataset = serializers.CharField(required=False, allow_blank=True)
    max_points = serializers.IntegerField(required=False, min_value=4, max_value=5000)

    def validate(self, asked: dict[str, Any]) -> dict[str, Any]:
        if "max_points" in asked and "key" not in asked:
            raise serializers.ValidationError({"max_points": _("Name the metric to downsample with “key”.")})
        if "max_points" in asked and {"limit", "offset"} & set(asked):
            raise serializers.ValidationError(
                {"max_points": _("A downsampled history is not paged: give one or the other.")}
            )
        return asked


class LinesQuery(Parameters):
    after = serializers.IntegerField(default=0, min_value=0, max_value=2**63 - 1)
    limit = serializers.IntegerField(default=1000, min_value=1, max_value=1000)
