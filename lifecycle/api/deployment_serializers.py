"""Deployments as the contract shows and takes them."""

import math
from typing import Any

from rest_framework import serializers

from core.api.serializers import Number, StrictSerializer, Username
from lifecycle.models import Deployment, DeploymentEvent, DeploymentLogLine
from lifecycle.operations.monitoring import endpoint_url, metrics_of
from lifecycle.states import DeploymentStatus, Environment, Health
from serving.models import Replica

LOG_LINES_SHOWN = 100


class LogLineSerializer(serializers.ModelSerializer):
    class Meta:
        model = DeploymentLogLine
        fields = ["id", "at", "level", "message"]


class EventSerializer(serializers.ModelSerializer):
    actor = Username()

    class Meta:
        model = DeploymentEvent
        fields = ["id", "at", "before", "after", "actor", "reason"]


class ReplicaSerializer(serializers.ModelSerializer):
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
    experiment_name = serializers.CharField(source="model_version.run.experiment.name")
    endpoint = serializers.SerializerMethodField()
    metrics = serializers.SerializerMethodField()
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

    def get_logs(self, deployment: Deployment) -> list[dict[str, Any]]:
        newest = deployment.log_lines.order_by("-id")[:LOG_LINES_SHOWN]
        return LogLineSerializer(reversed(newest), many=True).data

    def get_replicas(self, deployment: Deployment) -> list[dict[str, Any]]:
        replicas = Replica.objects.filter(target__deployment_id=deployment.pk)
        return ReplicaSerializer(replicas, many=True).data


class FiniteNumber(Number):
    """A number one can compare with."""

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
    environment = serializers.ChoiceField(choices=Environment)
    endpoint_config = EndpointConfigInput(required=False)
    endpoint = serializers.CharField(required=False, max_length=500)
    deployment_notes = serializers.CharField(required=False, allow_blank=True, max_length=10_000)


class DeploymentInput(DeployInput):
    model_name = serializers.CharField()
    version = serializers.CharField()


class RollbackInput(StrictSerializer):
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

    endpoint_config = EndpointConfigInput(required=False)
    deployment_notes = serializers.CharField(required=False, allow_blank=True, max_length=10_000)
    status = serializers.ChoiceField(choices=DeploymentStatus, required=False)
    health_status = serializers.ChoiceField(choices=Health, required=False)
    metrics = PushedMetrics(required=False)
    reason = serializers.CharField(required=False, allow_blank=True, max_length=10_000)
