"""Deployments as the contract shows and takes them."""

import math
from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from core.api.serializers import Number, StrictSerializer, Username
from lifecycle.models import Deployment, DeploymentEvent, DeploymentLogLine
from lifecycle.operations.monitoring import endpoint_url, metrics_of
from lifecycle.states import DeploymentStatus, Environment, Health
from serving.models import Replica

LOG_LINES_SHOWN = 100


class LogLineSerializer(serializers.ModelSerializer):
    message = serializers.CharField()

    class Meta:
        ref_name = "DeploymentLogLine"
        model = DeploymentLogLine
        fields = ["id", "at", "level", "message"]


class EventSerializer(serializers.ModelSerializer):
    actor = Username()
    reason = serializers.CharField()

    class Meta:
        ref_name = "DeploymentEvent"
        model = DeploymentEvent
        fields = ["id", "at", "before", "after", "actor", "reason"]


class DeploymentLogLinesSerializer(serializers.Serializer):
    results = LogLineSerializer(many=True)


class DeploymentEventsSerializer(serializers.Serializer):
    results = EventSerializer(many=True)


class DeploymentPointSerializer(serializers.Serializer):
    """The requests from `at` to the next point."""

    at = serializers.DateTimeField()
    request_count = serializers.IntegerField()
    error_count = serializers.IntegerField()
    client_error_count = serializers.IntegerField()
    p50_latency_ms = serializers.FloatField(allow_null=True)
    p95_latency_ms = serializers.FloatField(allow_null=True)
    p99_latency_ms = serializers.FloatField(allow_null=True)


class DeploymentHistorySerializer(serializers.Serializer):
    """Without points for a model served elsewhere: of those only the newest figures are known."""

    window = serializers.CharField()
    results = DeploymentPointSerializer(many=True)


class EndpointConfigSerializer(serializers.Serializer):
    """`instances` holds without auto-scaling, `min_instances` and `max_instances` with it; the others are null."""

    backend = serializers.CharField()
    instance_type = serializers.CharField(allow_null=True)
    auto_scaling = serializers.BooleanField()
    instances = serializers.IntegerField(allow_null=True)
    min_instances = serializers.IntegerField(allow_null=True)
    max_instances = serializers.IntegerField(allow_null=True)
    slo_p95_ms = serializers.FloatField()
    slo_error_rate = serializers.FloatField()


class FiguresSerializer(serializers.Serializer):
    """Over the last seven days, from traffic or as pushed. Null is what nobody measured."""

    request_count = serializers.IntegerField(allow_null=True)
    error_count = serializers.IntegerField(allow_null=True)
    error_rate = serializers.FloatField(allow_null=True)
    avg_latency_ms = serializers.FloatField(allow_null=True)
    p50_latency_ms = serializers.FloatField(allow_null=True)
    p95_latency_ms = serializers.FloatField(allow_null=True)
    p99_latency_ms = serializers.FloatField(allow_null=True)
    last_updated = serializers.DateTimeField(allow_null=True)


class ReplicaSerializer(serializers.ModelSerializer):
    message = serializers.CharField()

    class Meta:
        model = Replica
        fields = [
            "name",
            "state",
            "memory_bytes",
            "queue_depth",
            "requests",
            "errors",
            "restarts",
            "message",
            "started_at",
            "ready_at",
        ]


class DeploymentListSerializer(serializers.ListSerializer):
    """Fetches the traffic figures of the whole page at once."""

    def to_representation(self, data: Any) -> list[dict[str, Any]]:
        deployments = list(data)
        self.child.figures = metrics_of(deployments)
        return super().to_representation(deployments)


class DeploymentSerializer(serializers.ModelSerializer):
    model_id = serializers.IntegerField(source="model_version_id")
    model_name = serializers.CharField(source="model.name")
    model_version = serializers.IntegerField(source="model_version.version")
    experiment_name = serializers.CharField(source="model_version.experiment.name")
    endpoint = serializers.SerializerMethodField(help_text="Where predictions are asked for.")
    endpoint_config = EndpointConfigSerializer()
    metrics = serializers.SerializerMethodField()
    error_message = serializers.CharField()
    created_by = Username()
    figures: dict[int, dict[str, Any]] | None = None

    class Meta:
        model = Deployment
        list_serializer_class = DeploymentListSerializer
        fields = [
            "id",
            "model_id",
            "model_name",
            "model_version",
            "experiment_name",
            "status",
            "environment",
            "endpoint",
            "endpoint_config",
            "health_status",
            "metrics",
            "created_by",
            "created_at",
            "updated_at",
            "deployed_at",
            "terminated_at",
            "rollback_from",
            "deployment_notes",
            "error_message",
        ]

    def get_endpoint(self, deployment: Deployment) -> str:
        return endpoint_url(deployment)

    @extend_schema_field(FiguresSerializer)
    def get_metrics(self, deployment: Deployment) -> dict[str, Any]:
        if self.figures is None or deployment.pk not in self.figures:
            return metrics_of([deployment])[deployment.pk]
        return self.figures[deployment.pk]


class DeploymentDetailSerializer(DeploymentSerializer):
    """With the newest log lines and the replicas."""

    logs = serializers.SerializerMethodField()
    replicas = serializers.SerializerMethodField()

    class Meta(DeploymentSerializer.Meta):
        fields = [*DeploymentSerializer.Meta.fields, "logs", "replicas"]

    @extend_schema_field(LogLineSerializer(many=True))
    def get_logs(self, deployment: Deployment) -> list[dict[str, Any]]:
        newest = deployment.log_lines.order_by("-id")[:LOG_LINES_SHOWN]
        return LogLineSerializer(reversed(newest), many=True).data

    @extend_schema_field(ReplicaSerializer(many=True))
    def get_replicas(self, deployment: Deployment) -> list[dict[str, Any]]:
        replicas = Replica.objects.filter(target__deployment_id=deployment.pk)
        return ReplicaSerializer(replicas, many=True).data


class FiniteNumber(Number):
    """A number one can compare with."""

    takes_no_number = False

    def to_internal_value(self, data: Any) -> float:
        number = super().to_internal_value(data)
        if not math.isfinite(number):
            self.fail("invalid")
        return number


class EndpointConfigInput(StrictSerializer):
    backend = serializers.CharField(required=False)
    instances = serializers.IntegerField(required=False)
    instance_type = serializers.CharField(required=False)
    auto_scaling = serializers.BooleanField(required=False)
    min_instances = serializers.IntegerField(required=False)
    max_instances = serializers.IntegerField(required=False)
    slo_p95_ms = FiniteNumber(required=False, min_value=0.001)
    slo_error_rate = FiniteNumber(required=False, min_value=0, max_value=1)


class DeployInput(StrictSerializer):
    example = {"environment": "development", "endpoint_config": {"instances": 2, "instance_type": "small"}}

    environment = serializers.ChoiceField(choices=Environment)
    endpoint_config = EndpointConfigInput(required=False)
    endpoint = serializers.CharField(required=False, max_length=500)
    deployment_notes = serializers.CharField(required=False, allow_blank=True, max_length=10_000)


class DeploymentInput(DeployInput):
    example = {"model_name": "diabetes", "version": "3", **DeployInput.example}

    model_name = serializers.CharField()
    version = serializers.CharField()


class RollbackInput(StrictSerializer):
    example = {"reason": "Worse than the version before."}

    reason = serializers.CharField(required=False, allow_blank=True, max_length=10_000)


class PushedMetrics(StrictSerializer):
    request_count = serializers.IntegerField(min_value=0)
    error_count = serializers.IntegerField(min_value=0)
    error_rate = FiniteNumber(min_value=0, max_value=1)
    avg_latency_ms = FiniteNumber(required=False, allow_null=True, min_value=0)
    p50_latency_ms = FiniteNumber(required=False, allow_null=True, min_value=0)
    p95_latency_ms = FiniteNumber(required=False, allow_null=True, min_value=0)
    p99_latency_ms = FiniteNumber(required=False, allow_null=True, min_value=0)


class DeploymentChange(StrictSerializer):
    """What a PATCH may say. Status other than terminated, health and metrics only for external deployments."""

    example = {"endpoint_config": {"instances": 3}, "deployment_notes": "One more for the quarter's end."}

    endpoint_config = EndpointConfigInput(required=False)
    deployment_notes = serializers.CharField(required=False, allow_blank=True, max_length=10_000)
    status = serializers.ChoiceField(choices=DeploymentStatus, required=False)
    health_status = serializers.ChoiceField(choices=Health, required=False)
    metrics = PushedMetrics(required=False)
    reason = serializers.CharField(required=False, allow_blank=True, max_length=10_000)
