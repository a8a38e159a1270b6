"""Model versions as the contract shows and takes them."""

from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from core.api.serializers import BoundedDict, Number, StrictSerializer, Tags, Username
from core.translation import gettext
from lifecycle.models import ChecklistItem, ModelAlias, ModelVersion
from lifecycle.states import ChecklistStatus, Stage, VersionStatus

BYTES_PER_MB = 1_000_000
MOST_TICKS = 100
MAX_TEXT = 10_000


class Metrics(BoundedDict):
    child = Number()


class ChecklistItemSerializer(serializers.ModelSerializer):
    completed_by = Username()

    class Meta:
        model = ChecklistItem
        fields = ["id", "name", "status", "note", "completed_at", "completed_by"]


class ModelVersionSerializer(serializers.ModelSerializer):
    model_name = serializers.CharField(source="model.name")
    run_id = serializers.CharField(source="run.run_id", allow_null=True)
    logged_model_id = serializers.CharField(source="logged_model.model_id", allow_null=True)
    status = serializers.ChoiceField(choices=VersionStatus.choices)
    metrics = Metrics()
    tags = Tags()
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
            "logged_model_id",
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


class LineageRun(serializers.Serializer):
    run_id = serializers.CharField()
    name = serializers.CharField()
    status = serializers.CharField()


class LineageExperiment(serializers.Serializer):
    id = serializers.IntegerField()
    name = serializers.CharField()


class LineageDataset(serializers.Serializer):
    name = serializers.CharField()
    version = serializers.CharField()


class LineageLoggedModel(serializers.Serializer):
    logged_model_id = serializers.CharField()
    name = serializers.CharField()


class LineageSerializer(serializers.Serializer):
    logged_model = LineageLoggedModel(allow_null=True)
    run = LineageRun(allow_null=True)
    experiment = LineageExperiment()
    dataset = LineageDataset(allow_null=True)


class ModelVersionDetailSerializer(ModelVersionSerializer):
    hyperparameters = serializers.SerializerMethodField()
    size_mb = serializers.SerializerMethodField()
    deployment_count = serializers.IntegerField(source="deployments.count")
    lineage = serializers.SerializerMethodField()

    signature = serializers.DictField(allow_null=True, help_text="What it takes and gives, as in MLflow.")

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
        """Those of the logged model, which took over its run's, or of the run."""
        if version.logged_model:
            return version.logged_model.parameters
        return {parameter.name: parameter.value for parameter in version.run.parameters.all()}

    def get_size_mb(self, version: ModelVersion) -> float:
        return round(version.size_bytes / BYTES_PER_MB, 3)

    @extend_schema_field(LineageSerializer)
    def get_lineage(self, version: ModelVersion) -> dict[str, Any]:
        """Where the version comes from."""
        run, model, experiment = version.run, version.logged_model, version.experiment
        dataset = (
            {"name": run.dataset_name, "version": run.dataset_version} if run and run.dataset_name else None
        )
        return {
            "logged_model": {"logged_model_id": model.model_id, "name": model.name} if model else None,
            "run": {"run_id": run.run_id, "name": run.name, "status": run.status} if run else None,
            "experiment": {"id": experiment.pk, "name": experiment.name},
            "dataset": dataset,
        }


class ModelVersionInput(StrictSerializer):
    example = {
        "model_name": "diabetes",
        "run_id": "5f0c3d7c9a1e4b6f8d2a7c1e9b3f5d70",
        "artifact_path": "model",
        "version_label": "v1.2",
        "tags": {"team": "risk"},
    }

    model_name = serializers.CharField(trim_whitespace=False)
    run_id = serializers.CharField(required=False, max_length=32)
    artifact_path = serializers.CharField(required=False, trim_whitespace=False)
    logged_model_id = serializers.CharField(required=False, max_length=36)
    version_label = serializers.CharField(required=False, allow_blank=True)
    description = serializers.CharField(required=False, allow_blank=True, max_length=MAX_TEXT)
    tags = Tags(required=False)
    metrics = Metrics(required=False)


class ChecklistTick(StrictSerializer):
    example = {"status": "approved", "note": "Looked at the residuals by age."}

    status = serializers.ChoiceField(choices=ChecklistStatus.choices)
    note = serializers.CharField(required=False, allow_blank=True, max_length=MAX_TEXT)


class ChecklistChange(ChecklistTick):
    example = {"id": 17, **ChecklistTick.example}

    id = serializers.IntegerField(min_value=1, max_value=2**63 - 1)


class ChecklistAppend(StrictSerializer):
    example = {"name": "Load test passed"}

    name = serializers.CharField(max_length=250)


class ModelVersionChange(StrictSerializer):
    example = {"stage": "staging", "description": "Ridge on this quarter's data."}

    stage = serializers.ChoiceField(choices=Stage.choices, required=False)
    approval_checklist = ChecklistChange(many=True, required=False, max_length=MOST_TICKS)
    version_label = serializers.CharField(required=False, allow_blank=True)
    description = serializers.CharField(required=False, allow_blank=True, max_length=MAX_TEXT)
    tags = Tags(required=False)
    rollback_notes = serializers.CharField(required=False, allow_blank=True, max_length=MAX_TEXT)

    def validate_approval_checklist(self, items: list[dict[str, Any]]) -> list[dict[str, Any]]:
        if len({item["id"] for item in items}) < len(items):
            raise serializers.ValidationError(gettext("Name each item once."))
        return items


class Approval(StrictSerializer):
    example = {"approval_notes": "Better than the version before on every slice."}

    approval_notes = serializers.CharField(required=False, allow_blank=True, max_length=MAX_TEXT)
    content_sha256 = serializers.RegexField(r"^[0-9a-f]{64}$", required=False)


class Rejection(StrictSerializer):
    example = {"reason": "The test set overlaps with training."}

    reason = serializers.CharField(max_length=MAX_TEXT)


class Archival(StrictSerializer):
    example = {"reason": "Replaced by version 4."}

    reason = serializers.CharField(required=False, allow_blank=True, max_length=MAX_TEXT)


class ComparisonInput(StrictSerializer):
    example = {"versions": ["2", "3"]}

    versions = serializers.ListField(child=serializers.CharField(), max_length=1000)

    class Meta(StrictSerializer.Meta):
        ref_name = "ModelComparisonInput"


class ComparedVersionSerializer(serializers.ModelSerializer):
    run_id = serializers.CharField(source="run.run_id", allow_null=True)
    status = serializers.ChoiceField(choices=VersionStatus.choices)

    class Meta:
        model = ModelVersion
        fields = ["version", "version_label", "stage", "status", "run_id"]


class ComparedValues(serializers.Serializer):
    """A metric, and its value in each version in the order they were asked for; null where there is none."""

    metric_name = serializers.CharField()
    values = serializers.ListField(child=Number(allow_null=True))


class ComparisonSerializer(serializers.Serializer):
    model_name = serializers.CharField()
    versions = ComparedVersionSerializer(many=True)
    metrics = ComparedValues(many=True)


class AliasSerializer(serializers.ModelSerializer):
    model_name = serializers.CharField(source="model.name")
    version = serializers.IntegerField(source="version.version")
    version_label = serializers.CharField(source="version.version_label")

    class Meta:
        model = ModelAlias
        fields = ["model_name", "alias", "version", "version_label"]


class AliasTarget(StrictSerializer):
    example = {"version": "3"}

    version = serializers.CharField()
