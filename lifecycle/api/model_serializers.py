"""Model versions as the contract shows and takes them."""

from typing import Any

from rest_framework import serializers

from core.api.serializers import Number, StrictSerializer, Tags, Username
from lifecycle.models import ChecklistItem, ModelAlias, ModelVersion
from lifecycle.states import ChecklistStatus, Stage

BYTES_PER_MB = 1_000_000
MAX_TEXT = 10_000


class ChecklistItemSerializer(serializers.ModelSerializer):
    completed_by = Username()

    class Meta:
        model = ChecklistItem
        fields = ["id", "name", "status", "note", "completed_at", "completed_by"]


class ModelVersionSerializer(serializers.ModelSerializer):
    model_name = serializers.CharField(source="model.name")
    run_id = serializers.CharField(source="run.run_id")
    status = serializers.CharField()
    approval_checklist = ChecklistItemSerializer(source="checklist", many=True)
    aliases = serializers.SlugRelatedField(slug_field="alias", many=True, read_only=True)
    approved_by = Username()
    rejected_by = Username()
    created_by = Username()

    class Meta:
        model = ModelVersion
        fields = [
            "id",
            "model_name",
            "version",
            "version_label",
            "aliases",
            "description",
            "run_id",
            "artifact_path",
            "stage",
            "status",
            "approval_checklist",
            "metrics",
            "tags",
            "approved_by",
            "approved_at",
            "approval_notes",
            "rejected_by",
            "rejected_at",
            "rollback_notes",
            "created_by",
            "created_at",
            "updated_at",
        ]


class ModelVersionDetailSerializer(ModelVersionSerializer):
    hyperparameters = serializers.SerializerMethodField()
    size_mb = serializers.SerializerMethodField()
    deployment_count = serializers.IntegerField(source="deployments.count")
    lineage = serializers.SerializerMethodField()

    class Meta(ModelVersionSerializer.Meta):
        fields = [
            *ModelVersionSerializer.Meta.fields,
            "framework",
            "signature",
            "hyperparameters",
            "size_bytes",
            "size_mb",
            "content_sha256",
            "approved_sha256",
            "deployment_count",
            "lineage",
        ]

    def get_hyperparameters(self, version: ModelVersion) -> dict[str, str]:
        return {parameter.name: parameter.value for parameter in version.run.parameters.all()}

    def get_size_mb(self, version: ModelVersion) -> float:
        return round(version.size_bytes / BYTES_PER_MB, 3)

    def get_lineage(self, version: ModelVersion) -> dict[str, Any]:
        """Where the version comes from."""
        run = version.run
        dataset = {"name": run.dataset_name, "version": run.dataset_version} if run.dataset_name else None
        return {
            "run": {"run_id": run.run_id, "name": run.name, "status": run.status},
            "experiment": {"id": run.experiment_id, "name": run.experiment.name},
            "dataset": dataset,
        }


class Metrics(serializers.DictField):
    child = Number()


class ModelVersionInput(StrictSerializer):
    model_name = serializers.CharField(trim_whitespace=False)
    run_id = serializers.CharField(max_length=32)
    artifact_path = serializers.CharField(trim_whitespace=False)
    version_label = serializers.CharField(required=False, allow_blank=True)
    description = serializers.CharField(required=False, allow_blank=True, max_length=MAX_TEXT)
    tags = Tags(required=False)
    metrics = Metrics(required=False)


class ChecklistTick(StrictSerializer):
    status = serializers.ChoiceField(choices=ChecklistStatus.choices)
    note = serializers.CharField(required=False, allow_blank=True, max_length=MAX_TEXT)


class ChecklistChange(ChecklistTick):
    id = serializers.IntegerField(min_value=1, max_value=2**63 - 1)


class ChecklistAppend(StrictSerializer):
    name = serializers.CharField(max_length=250)


class ModelVersionChange(StrictSerializer):
    stage = serializers.ChoiceField(choices=Stage.choices, required=False)
    approval_checklist = ChecklistChange(many=True, required=False)
    version_label = serializers.CharField(required=False, allow_blank=True)
    description = serializers.CharField(required=False, allow_blank=True, max_length=MAX_TEXT)
    tags = Tags(required=False)
    rollback_notes = serializers.CharField(required=False, allow_blank=True, max_length=MAX_TEXT)


class Approval(StrictSerializer):
    approval_notes = serializers.CharField(required=False, allow_blank=True, max_length=MAX_TEXT)
    content_sha256 = serializers.RegexField(r"^[0-9a-f]{64}$", required=False)


class Rejection(StrictSerializer):
    reason = serializers.CharField(max_length=MAX_TEXT)


class Archival(StrictSerializer):
    reason = serializers.CharField(required=False, allow_blank=True, max_length=MAX_TEXT)


class ComparisonInput(StrictSerializer):
    versions = serializers.ListField(child=serializers.CharField())


class ComparedVersionSerializer(serializers.ModelSerializer):
    run_id = serializers.CharField(source="run.run_id")
    status = serializers.CharField()

    class Meta:
        model = ModelVersion
        fields = ["version", "version_label", "stage", "status", "run_id"]


class ComparisonSerializer(serializers.Serializer):
    model_name = serializers.CharField()
    versions = ComparedVersionSerializer(many=True)
    metrics = serializers.ListField(child=serializers.DictField())


class AliasSerializer(serializers.ModelSerializer):
    model_name = serializers.CharField(source="model.name")
    version = serializers.IntegerField(source="version.version")
    version_label = serializers.CharField(source="version.version_label")

    class Meta:
        model = ModelAlias
        fields = ["model_name", "alias", "version", "version_label"]


class AliasTarget(StrictSerializer):
    version = serializers.CharField()
