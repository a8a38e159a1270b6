"""Experiments as the contract shows and takes them."""

import json
from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from core.api.serializers import Number, StrictSerializer, Tags, Username
from core.errors import Invalid
from core.translation import gettext as _
from lifecycle.api.serializers.runs import ArtifactSerializer, LogLineSerializer, MetricSerializer
from lifecycle.models import Experiment, Run, RunMetric
from lifecycle.names import MAX_EXPERIMENT_NAME, check_experiment_name
from lifecycle.operations.experiments import best_metrics, is_lower_better, run_counts

MAX_METADATA_BYTES = 64 * 1024
# The detail shows the end of the log and the first files; /runs/{run_id} has all.
LOG_LINES_SHOWN = 100
ARTIFACTS_SHOWN = 100


class Metadata(serializers.DictField):
    """Any JSON object, as large as is still metadata, of text that every database can keep."""

    def to_internal_value(self, data: Any) -> dict[str, Any]:
        metadata = super().to_internal_value(data)
        try:
            size = len(json.dumps(metadata, ensure_ascii=False).encode())
        except UnicodeEncodeError as error:
            raise serializers.ValidationError(
                _("It holds half a surrogate pair, which is no text.")
            ) from error
        if size > MAX_METADATA_BYTES:
            raise serializers.ValidationError(
                _("It has at most %(limit)s bytes as JSON.") % {"limit": MAX_METADATA_BYTES}
            )
        if _holds_nul(metadata):
            raise serializers.ValidationError(_("It holds a NUL character, which cannot be kept."))
        return metadata


def _holds_nul(value: Any) -> bool:
    if isinstance(value, str):
        return "\x00" in value
    if isinstance(value, dict):
        return any(_holds_nul(part) for pair in value.items() for part in pair)
    return isinstance(value, list) and any(_holds_nul(part) for part in value)


class ExperimentSerializer(serializers.ModelSerializer):
    """`metrics` and `duration_seconds` are those of the run that completed last."""

    owner = Username(
        allow_null=True, help_text="Null: the default experiment of MLflow's clients is nobody's."
    )
    tags = Tags()
    metadata = Metadata()
    metrics = serializers.SerializerMethodField()
    duration_seconds = serializers.SerializerMethodField()

    class Meta:
        model = Experiment
        fields = [
            "id",
            "name",
            "description",
            "owner",
            "status",
            "tags",
            "metadata",
            "metrics",
            "duration_seconds",
            "created_at",
            "updated_at",
        ]

    @extend_schema_field(MetricSerializer(many=True))
    def get_metrics(self, experiment: Experiment) -> list[dict[str, Any]]:
        run = self.latest(experiment)
        return MetricSerializer(run.metrics.all(), many=True).data if run else []

    def get_duration_seconds(self, experiment: Experiment) -> float | None:
        run = self.latest(experiment)
        return run.duration_seconds if run else None

    def latest(self, experiment: Experiment) -> Run | None:
        """The run that completed last, prefetched for the whole page by the viewset."""
        return next(iter(experiment.latest_completed), None)


class BestSerializer(serializers.ModelSerializer):
    """The best value of a metric, and the run that reached it."""

    metric_name = serializers.CharField(source="name")
    value = Number(source="number")
    best_is = serializers.SerializerMethodField()
    run_id = serializers.CharField(source="run.run_id")
    run_name = serializers.CharField(source="run.name")

    class Meta:
        model = RunMetric
        fields = ["metric_name", "dataset", "value", "best_is", "run_id", "run_name"]

    @extend_schema_field(serializers.ChoiceField(choices=["lowest", "highest"]))
    def get_best_is(self, metric: RunMetric) -> str:
        return "lowest" if is_lower_better(metric.name) else "highest"


class ExperimentDetailSerializer(ExperimentSerializer):
    """Adds what the runs came to, and the end of the log and the files of the run that completed last."""

    run_counts = serializers.SerializerMethodField()
    best_runs = serializers.SerializerMethodField()
    latest_run_id = serializers.SerializerMethodField()
    completed_at = serializers.SerializerMethodField()
    logs = serializers.SerializerMethodField()
    artifacts = serializers.SerializerMethodField()

    class Meta(ExperimentSerializer.Meta):
        fields = [
            *ExperimentSerializer.Meta.fields,
            "run_counts",
            "best_runs",
            "latest_run_id",
            "completed_at",
            "logs",
            "artifacts",
        ]

    @extend_schema_field(serializers.DictField(child=serializers.IntegerField()))
    def get_run_counts(self, experiment: Experiment) -> dict[str, int]:
        return run_counts(experiment)

    @extend_schema_field(BestSerializer(many=True))
    def get_best_runs(self, experiment: Experiment) -> list[dict[str, Any]]:
        return BestSerializer(best_metrics(experiment), many=True).data

    def get_latest_run_id(self, experiment: Experiment) -> str | None:
        run = self.latest(experiment)
        return run.run_id if run else None

    @extend_schema_field(serializers.DateTimeField(allow_null=True))
    def get_completed_at(self, experiment: Experiment) -> str | None:
        run = self.latest(experiment)
        return serializers.DateTimeField().to_representation(run.completed_at) if run else None

    @extend_schema_field(LogLineSerializer(many=True))
    def get_logs(self, experiment: Experiment) -> list[dict[str, Any]]:
        run = self.latest(experiment)
        lines = run.log_lines.order_by("-id")[:LOG_LINES_SHOWN] if run else []
        return LogLineSerializer(reversed(lines), many=True).data

    @extend_schema_field(ArtifactSerializer(many=True))
    def get_artifacts(self, experiment: Experiment) -> list[dict[str, Any]]:
        run = self.latest(experiment)
        files = run.artifacts.select_related("run")[:ARTIFACTS_SHOWN] if run else []
        return ArtifactSerializer(files, many=True).data


class ExperimentChange(StrictSerializer):
    example: dict[str, Any] = {"description": "Progression after one year.", "tags": {"team": "risk"}}

    name = serializers.CharField(required=False, trim_whitespace=False, max_length=MAX_EXPERIMENT_NAME)
    description = serializers.CharField(required=False, allow_blank=True, max_length=100_000)
    tags = Tags(required=False)
    metadata = Metadata(required=False)

    def validate_name(self, name: str) -> str:
        try:
            return check_experiment_name(name)
        except Invalid as error:
            raise serializers.ValidationError(error.detail) from error


class ExperimentInput(ExperimentChange):
    example = {"name": "diabetes", **ExperimentChange.example}

    name = serializers.CharField(trim_whitespace=False, max_length=MAX_EXPERIMENT_NAME)
