"""/models: register versions, look at them, decide about them."""

from typing import Any

from django.db.models import F, QuerySet
from django.urls import reverse
from django.utils.translation import gettext_lazy as _
from drf_spectacular.utils import extend_schema
from rest_framework import status
from rest_framework.decorators import action
from rest_framework.request import Request

from core.api.views import Listed, Response
from lifecycle.api.base import LifecycleResource
from lifecycle.api.deployment_serializers import DeployInput, DeploymentDetailSerializer
from lifecycle.api.model_filters import MINIMUM, MetricMinimum, ModelVersionFilters
from lifecycle.api.model_serializers import (
    AliasSerializer,
    AliasTarget,
    Approval,
    Archival,
    ChecklistAppend,
    ChecklistItemSerializer,
    ChecklistTick,
    ComparisonInput,
    ComparisonSerializer,
    ModelVersionChange,
    ModelVersionDetailSerializer,
    ModelVersionInput,
    ModelVersionSerializer,
    Rejection,
)
from lifecycle.models import ModelVersion
from lifecycle.operations import aliases, approvals, checklist, deployments, registry, stages
from lifecycle.operations.registered_models import find_model


class ModelVersions(LifecycleResource):
    """What the list of all models' versions and one version share."""

    noun, plural, tag = _("model version"), _("model versions"), "Model registry"
    serializer_class = ModelVersionSerializer

    def get_queryset(self) -> QuerySet[ModelVersion]:
        return (
            ModelVersion.objects.visible_to(self.request.user)
            .kept()
            .with_status()
            .annotate(model_name=F("model__name"))
            .select_related(
                "model",
                "run__experiment",
                "logged_model__experiment",
                "created_by",
                "approved_by",
                "rejected_by",
            )
            .prefetch_related("checklist__completed_by", "aliases")
        )

    def answer(self, version: ModelVersion, status_code: int = status.HTTP_200_OK) -> Response:
        """The version in full, as it is in the database now."""
        shown = self.get_queryset().get(pk=version.pk)
        return Response(ModelVersionDetailSerializer(shown).data, status=status_code)


class ModelVersionListViewSet(Listed, ModelVersions):
    """Versions of all models. A model comes into being with its first version."""

    inputs = {"create": ModelVersionInput}
    answers = {"create": ModelVersionDetailSerializer}
    refusals = {"create": (404,)}
    filter_backends = [*LifecycleResource.filter_backends, MetricMinimum]
    filterset_class = ModelVersionFilters
    extra_parameter_prefixes = (MINIMUM,)
    ordering_fields = ("created_at", "updated_at", "model_name", "version", "stage", "status", "size_bytes")
    search_fields = ("model__name", "version_label", "description")
    export_name = "models"

    def row_url(self, row: dict[str, Any]) -> str:
        named = {"model_name": row["model_name"], "version": row["version"]}
        return reverse("model-version-api-detail", kwargs=named)

    def row_label(self, row: dict[str, Any]) -> str:
        return f"{row['model_name']} {row['version']}"

    def create(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """Register a model version.

        It is made of a run's files, where `artifact_path` names the folder that holds the MLmodel file, or of a model
        that MLflow logged, named by `logged_model_id`. The files are hashed as they are now; the version starts as a
        draft with the default checklist.
        """
        version = registry.register_version(actor=request.user, **self.parse())
        return self.answer(version, status.HTTP_201_CREATED)


class ModelVersionViewSet(ModelVersions):
    """One version; `{version}` is its number, its label, or “@alias”."""

    inputs = {
        "partial_update": ModelVersionChange,
        "compare": ComparisonInput,
        "approve": Approval,
        "reject": Rejection,
        "archive": Archival,
        "deploy": DeployInput,
        "append_to_checklist": ChecklistAppend,
        "tick": ChecklistTick,
    }
    answers = {
        **dict.fromkeys(
            ("retrieve", "partial_update", "approve", "reject", "archive"), ModelVersionDetailSerializer
        ),
        "compare": ComparisonSerializer,
        "deploy": {201: DeploymentDetailSerializer},
        "append_to_checklist": {201: ChecklistItemSerializer},
        "tick": ChecklistItemSerializer,
    }
    lookup_field = "version"
    lookup_value_regex = "[^/]+"

    def get_object(self) -> ModelVersion:
        return registry.find_version(self.request.user, self.kwargs["model_name"], self.kwargs["version"])

    def retrieve(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """Show a model version.

        With its framework, signature, hyperparameters, size and where it comes from.
        """
        return self.answer(self.get_object())

    def partial_update(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """Change a model version.

        Its stage (approvers), its checklist, or what describes it. Fields that are not sent stay as they are.
        """
        version = self.get_object()
        data = self.parse()
        return self.answer(registry.update_version(actor=request.user, version=version, **data))

    @action(detail=False, methods=["post"])
    def compare(self, request: Request, model_name: str) -> Response:
        """Compare the metrics of 2 to 50 versions of a model."""
        data = self.parse()
        compared = registry.compare_versions(user=request.user, model_name=model_name, **data)
        return Response(ComparisonSerializer(compared).data)

    @action(detail=True, methods=["post"])
    def approve(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """Approve a model version.

        By somebody who had no hand in it, once its checklist is ticked. The approval is of exactly these bytes;
        `content_sha256` makes sure that they are those you looked at.
        """
        version = self.get_object()
        return self.answer(approvals.approve(actor=request.user, version=version, **self.parse()))

    @action(detail=True, methods=["post"])
    def reject(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """Reject a model version, or take its approval back, with a reason."""
        version = self.get_object()
        return self.answer(approvals.reject(actor=request.user, version=version, **self.parse()))

    @action(detail=True, methods=["post"])
    def archive(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """Archive a model version.

        Refused with 409 while it is deployed.
        """
        version = self.get_object()
        return self.answer(stages.archive(actor=request.user, version=version, **self.parse()))

    @action(detail=True, methods=["post"])
    def deploy(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """Deploy this model version.

        The same as POST /deployments.
        """
        version = self.get_object()
        deployment = deployments.deploy(actor=request.user, version=version, **self.parse())
        return Response(DeploymentDetailSerializer(deployment).data, status=status.HTTP_201_CREATED)

    @extend_schema(operation_id="append_to_checklist")
    @action(detail=True, methods=["post"], url_path="checklist")
    def append_to_checklist(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """Append an item to the checklist."""
        version = self.get_object()
        item = checklist.append_item(actor=request.user, version=version, **self.parse())
        return Response(ChecklistItemSerializer(item).data, status=status.HTTP_201_CREATED)

    @extend_schema(operation_id="tick_checklist_item")
    @action(detail=True, methods=["patch"], url_path=r"checklist/(?P<item_id>\d{1,18})")
    def tick(self, request: Request, item_id: str, *args: Any, **kwargs: Any) -> Response:
        """Tick an item of the checklist.

        Sets it to “approved”, “rejected” or back to “pending”, with a note.
        """
        item = checklist.find_item(self.get_object(), int(item_id))
        ticked = checklist.tick(actor=request.user, item=item, **self.parse())
        return Response(ChecklistItemSerializer(ticked).data)


class AliasViewSet(LifecycleResource):
    """Aliases of one model: names that point at a version and are moved at will."""

    noun, plural, tag = _("model alias"), _("model aliases"), "Model registry"
    lookup_field = "alias"
    lookup_value_regex = "[^/]+"
    serializer_class = AliasSerializer
    inputs = {"update": AliasTarget}

    def retrieve(self, request: Request, model_name: str, alias: str) -> Response:
        """Show which version an alias points at."""
        model = find_model(request.user, model_name)
        return Response(AliasSerializer(aliases.find_alias(model, alias)).data)

    @extend_schema(operation_id="set_model_alias")
    def update(self, request: Request, model_name: str, alias: str) -> Response:
        """Point an alias at a version, making it if it is new."""
        model = find_model(request.user, model_name)
        version = registry.find_version(request.user, model_name, self.parse()["version"])
        return Response(
            AliasSerializer(
                aliases.set_alias(actor=request.user, model=model, alias=alias, version=version)
            ).data
        )

    def destroy(self, request: Request, model_name: str, alias: str) -> Response:
        """Delete an alias."""
        model = find_model(request.user, model_name)
        aliases.delete_alias(actor=request.user, model=model, alias=alias)
        return Response(status=status.HTTP_204_NO_CONTENT)
