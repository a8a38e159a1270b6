"""/models: register versions, look at them, decide about them."""

from typing import Any

from django.db.models import F, QuerySet
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


class ModelVersions(LifecycleResource):
    """What the list of all models' versions and one version share."""

    serializer_class = ModelVersionSerializer

    def get_queryset(self) -> QuerySet[ModelVersion]:
        return (
            ModelVersion.objects.visible_to(self.request.user)
            .with_status()
            .annotate(model_name=F("model__name"))
            .select_related("model", "run__experiment", "created_by", "approved_by", "rejected_by")
            .prefetch_related("checklist__completed_by", "aliases")
        )

    def answer(self, version: ModelVersion, status_code: int = status.HTTP_200_OK) -> Response:
        """The version in full, as it is in the database now."""
        shown = self.get_queryset().get(pk=version.pk)
        return Response(ModelVersionDetailSerializer(shown).data, status=status_code)


class ModelVersionListViewSet(Listed, ModelVersions):
    filter_backends = [*LifecycleResource.filter_backends, MetricMinimum]
    filterset_class = ModelVersionFilters
    extra_parameter_prefixes = (MINIMUM,)
    ordering_fields = ("created_at", "updated_at", "model_name", "version", "stage", "status", "size_bytes")
    search_fields = ("model__name", "version_label", "description")
    export_name = "models"

    def create(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        data = self.parse(serializer_class=ModelVersionInput)
        return self.answer(registry.register_version(actor=request.user, **data), status.HTTP_201_CREATED)


class ModelVersionViewSet(ModelVersions):
    """One version; `{version}` is its number, its label, or “@alias”."""

    lookup_field = "version"
    lookup_value_regex = "[^/]+"

    def get_object(self) -> ModelVersion:
        return registry.find_version(self.request.user, self.kwargs["model_name"], self.kwargs["version"])

    def retrieve(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        return self.answer(self.get_object())

    def partial_update(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        version = self.get_object()
        data = self.parse(serializer_class=ModelVersionChange)
        return self.answer(registry.update_version(actor=request.user, version=version, **data))

    @action(detail=False, methods=["post"], serializer_class=ComparisonInput)
    def compare(self, request: Request, model_name: str) -> Response:
        data = self.parse()
        compared = registry.compare_versions(user=request.user, model_name=model_name, **data)
        return Response(ComparisonSerializer(compared).data)

    @action(detail=True, methods=["post"], serializer_class=Approval)
    def approve(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        version = self.get_object()
        return self.answer(approvals.approve(actor=request.user, version=version, **self.parse()))

    @action(detail=True, methods=["post"], serializer_class=Rejection)
    def reject(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        version = self.get_object()
        return self.answer(approvals.reject(actor=request.user, version=version, **self.parse()))

    @action(detail=True, methods=["post"], serializer_class=Archival)
    def archive(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        version = self.get_object()
        return self.answer(stages.archive(actor=request.user, version=version, **self.parse()))

    @action(detail=True, methods=["post"], serializer_class=DeployInput)
    def deploy(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        version = self.get_object()
        deployment = deployments.deploy(actor=request.user, version=version, **self.parse())
        return Response(DeploymentDetailSerializer(deployment).data, status=status.HTTP_201_CREATED)

    @action(detail=True, methods=["post"], url_path="checklist", serializer_class=ChecklistAppend)
    def append_to_checklist(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        version = self.get_object()
        item = checklist.append_item(actor=request.user, version=version, **self.parse())
        return Response(ChecklistItemSerializer(item).data, status=status.HTTP_201_CREATED)

    @action(
        detail=True,
        methods=["patch"],
        url_path=r"checklist/(?P<item_id>\d{1,18})",
        serializer_class=ChecklistTick,
    )
    def tick(self, request: Request, item_id: str, *args: Any, **kwargs: Any) -> Response:
        item = checklist.find_item(self.get_object(), int(item_id))
        ticked = checklist.tick(actor=request.user, item=item, **self.parse())
        return Response(ChecklistItemSerializer(ticked).data)


class AliasViewSet(LifecycleResource):
    """Aliases of one model."""

    lookup_field = "alias"
    lookup_value_regex = "[^/]+"
    serializer_class = AliasTarget

    def retrieve(self, request: Request, model_name: str, alias: str) -> Response:
        model = registry.find_model(request.user, model_name)
        return Response(AliasSerializer(aliases.find_alias(model, alias)).data)

    def update(self, request: Request, model_name: str, alias: str) -> Response:
        model = registry.find_model(request.user, model_name)
        version = registry.find_version(request.user, model_name, self.parse()["version"])
        return Response(
            AliasSerializer(
                aliases.set_alias(actor=request.user, model=model, alias=alias, version=version)
            ).data
        )

    def destroy(self, request: Request, model_name: str, alias: str) -> Response:
        model = registry.find_model(request.user, model_name)
        aliases.delete_alias(actor=request.user, model=model, alias=alias)
        return Response(status=status.HTTP_204_NO_CONTENT)
