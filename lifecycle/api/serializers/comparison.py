"""Runs side by side, as the contract shows and takes them."""

from rest_framework import serializers

from core.api.serializers import Number, StrictSerializer
from core.translation import gettext as _
from lifecycle.api.serializers.runs import Key
from lifecycle.models import Run


class CompareInput(StrictSerializer):
    example = {
        "run_ids": ["5f0c3d7c9a1e4b6f8d2a7c1e9b3f5d70", "0b1d9e5c2f7a4c3e8a6b4d2f1e9c7a50"],
        "metric_names": ["accuracy"],
    }

    run_ids = serializers.ListField(child=serializers.CharField(max_length=32), min_length=2, max_length=50)
    metric_names = serializers.ListField(child=Key(), required=False, min_length=1, max_length=50)
    max_points = serializers.IntegerField(required=False, min_value=4, max_value=2000)

    def validate_run_ids(self, run_ids: list[str]) -> list[str]:
        if len(set(run_ids)) < len(run_ids):
            raise serializers.ValidationError(_("Each run is compared once."))
        return run_ids


class ComparedRun(serializers.ModelSerializer):
    experiment_name = serializers.CharField(source="experiment.name")

    class Meta:
        model = Run
        fields = ["run_id", "name", "experiment_name", "status", "started_at", "duration_seconds"]


class ComparedMetric(serializers.Serializer):
    metric_name = serializers.CharField()
    dataset = serializers.CharField()
    values = serializers.DictField(child=Number(allow_null=True))


class ComparedParameter(serializers.Serializer):
    """A parameter, and its value by run id; null in a run without it."""

    name = serializers.CharField()
    values = serializers.DictField(child=serializers.CharField(allow_null=True))


class StepSerializer(serializers.Serializer):
    step = serializers.IntegerField()
    value = Number()


class ComparedSeries(serializers.Serializer):
    run_id = serializers.CharField()
    points = StepSerializer(many=True)


class ComparedHistory(serializers.Serializer):
    metric_name = serializers.CharField()
    dataset = serializers.CharField()
    series = ComparedSeries(many=True)


class RunComparisonSerializer(serializers.Serializer):
    runs = ComparedRun(many=True)
    parameters = ComparedParameter(many=True)
    metrics = ComparedMetric(many=True)
    histories = ComparedHistory(many=True)
    histories_left_out = serializers.ListField(child=serializers.CharField())
