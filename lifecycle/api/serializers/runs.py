"""Runs, what is logged to them and their files, as the contract shows and takes them."""

import json
from typing import Any

from django.conf import settings
from django.urls import reverse
from rest_framework import serializers

from core.api.serializers import Number, StrictSerializer, Tags, Username
from core.errors import Invalid
from core.translation import gettext as _
from lifecycle.models import Artifact, MetricPoint, Run, RunLogLine, RunMetric, RunParameter
from lifecycle.names import MAX_KEY, check_key
from lifecycle.operations.metrics import LARGEST_STEP, SMALLEST_STEP
from lifecycle.states import RunStatus

MAX_NAME = 500
MAX_LINE = 10_000
MAX_AT_ONCE = 1000
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


class PointSerializer(MetricSerializer):
    """One point of a metric's history."""

    class Meta:
        model = MetricPoint
        fields = ["metric_name", "value", "step", "timestamp", "dataset"]


class PointInput(StrictSerializer):
    metric_name = Key()
    value = Number()
    dataset = serializers.CharField(required=False, allow_blank=True, max_length=250)
    step = serializers.IntegerField(required=False, min_value=SMALLEST_STEP, max_value=LARGEST_STEP)
    timestamp = serializers.DateTimeField(required=False)


class MetricsInput(StrictSerializer):
    metrics = PointInput(many=True, allow_empty=False)


class ArtifactSerializer(serializers.ModelSerializer):
    uri = serializers.SerializerMethodField()

    class Meta:
        model = Artifact
        fields = ["name", "path", "uri", "artifact_type", "size_bytes", "sha256"]

    def get_uri(self, artifact: Artifact) -> str:
        """Where to download it."""
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

    def get_tags(self, run: Run) -> dict[str, str]:
        return {tag.name: tag.value for tag in run.tag_rows.all()}


class RunChange(StrictSerializer):
    """What a PATCH may hold; a POST takes the same and says which experiment."""

    name = serializers.CharField(required=False, allow_blank=True, max_length=MAX_NAME)
    status = serializers.ChoiceField(required=False, choices=RunStatus.choices)
    completed_at = serializers.DateTimeField(required=False)
    parameters = ParameterInput(many=True, required=False, max_length=MAX_AT_ONCE)
    metrics = PointInput(many=True, required=False)
    tags = Tags(required=False)
    dataset_name = serializers.CharField(required=False, allow_blank=True, max_length=250)
    dataset_version = serializers.CharField(required=False, allow_blank=True, max_length=100)
    notes = serializers.CharField(required=False, allow_blank=True, trim_whitespace=False, max_length=100_000)


class RunInput(RunChange):
    experiment_name = serializers.CharField(max_length=500)
    started_at = serializers.DateTimeField(required=False)


class CompareInput(StrictSerializer):
    run_ids = serializers.ListField(child=serializers.CharField(max_length=32), min_length=2, max_length=50)
    metric_names = serializers.ListField(child=Key(), required=False, min_length=1, max_length=50)
    max_points = serializers.IntegerField(required=False, min_value=4, max_value=2000)

    def validate_run_ids(self, run_ids: list[str]) -> list[str]:
        if len(set(run_ids)) < len(run_ids):
            raise serializers.ValidationError(_("Each run is compared once."))
        return run_ids


class LogLineSerializer(serializers.ModelSerializer):
    class Meta:
        model = RunLogLine
        fields = ["id", "at", "level", "message"]


class LineInput(StrictSerializer):
    message = serializers.CharField(allow_blank=True, trim_whitespace=False, max_length=MAX_LINE)
    level = serializers.ChoiceField(required=False, choices=LEVELS)
    at = serializers.DateTimeField(required=False)


class LinesInput(StrictSerializer):
    lines = LineInput(many=True, allow_empty=False)
