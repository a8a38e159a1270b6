"""/deployments: ask for them, look at them, end them, roll them back."""

from dataclasses import asdict
from datetime import timedelta
from typing import Any

import django_filters
from django.db import transaction
from django.db.models import QuerySet
from django.shortcuts import get_object_or_404
from django.utils import timezone
from rest_framework import serializers, status
from rest_framework.decorators import action
from rest_framework.request import Request

from core.api.filters import WholeNumberFilter
from core.api.views import Listed, Response
from core.errors import Invalid
from lifecycle.api.base import LifecycleResource, Parameters
from lifecycle.api.deployment_serializers import (
    DeploymentChange,
    DeploymentDetailSerializer,
    DeploymentInput,
    DeploymentSerializer,
    EventSerializer,
    LogLineSerializer,
    RollbackInput,
)
from lifecycle.models import Deployment
from lifecycle.operations import deployments, external
from lifecycle.operations.registry import find_version
from lifecycle.states import DeploymentStatus, Environment, Health
from serving.operations.traffic import Point, series

WINDOWS = {"1h": timedelta(hours=1), "24h": timedelta(hours=24), "7d": timedelta(days=7)}
BUCKETS = 60
PUSHED = ("health_status", "metrics")


class DeploymentFilters(django_filters.FilterSet):
    model_name = django_filters.CharFilter(field_name="model__name")
    version = WholeNumberFilter(field_name="model_version__version")
    environment = django_filters.ChoiceFilter(choices=Environment.choices)
    status = django_filters.MultipleChoiceFilter(choices=DeploymentStatus.choices, distinct=False)
    health_status = django_filters.ChoiceFilter(choices=Health.choices)


class Window(Parameters):
    window = serializers.ChoiceField(choices=list(WINDOWS), default="1h")


class After(Parameters):
    after = serializers.IntegerField(default=0, min_value=0)
    limit = serializers.IntegerField(default=1000, min_value=1, max_value=1000)


class DeploymentViewSet(Listed, LifecycleResource):
    serializer_class = DeploymentSerializer
    filterset_class = DeploymentFilters
    ordering_fields = ("created_at", "updated_at", "deployed_at", "environment", "status", "model__name")
    search_fields = ("model__name", "deployment_notes", "error_message__text")
    export_name = "deployments"
    lookup_value_regex = r"\d{1,18}"

    def get_queryset(self) -> QuerySet[Deployment]:
        return Deployment.objects.visible_to(self.request.user).select_related(
            "model", "model_version__run__experiment", "created_by"
        )

    def get_object(self) -> Deployment:
        return get_object_or_404(self.get_queryset(), pk=self.kwargs["pk"])

    def create(self, request: Request) -> Response:
        data = self.parse(serializer_class=DeploymentInput)
        version = find_version(request.user, data.pop("model_name"), data.pop("version"))
        deployment = deployments.deploy(actor=request.user, version=version, **data)
        return self._answer(deployment, status.HTTP_201_CREATED)

    def retrieve(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        return self._answer(self.get_object())

    def partial_update(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        deployment = self.get_object()
        data = self.parse(serializer_class=DeploymentChange)
        with transaction.atomic():
            self._change(request, deployment, data)
        return self._answer(self.get_object())

    def destroy(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        return self._answer(deployments.terminate(actor=request.user, deployment=self.get_object()))

    @action(detail=True, methods=["post"])
    def rollback(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        data = self.parse(serializer_class=RollbackInput)
        created = deployments.roll_back(actor=request.user, deployment=self.get_object(), **data)
        return self._answer(created, status.HTTP_201_CREATED)

    @action(detail=True, methods=["get"])
    def logs(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        asked = self.parameters(After)
        lines = self.get_object().log_lines.filter(id__gt=asked["after"])[: asked["limit"]]
        return Response({"results": LogLineSerializer(lines, many=True).data})

    @action(detail=True, methods=["get"])
    def events(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        events = self.get_object().events.select_related("actor")
        return Response({"results": EventSerializer(events, many=True).data})

    @action(detail=True, methods=["get"])
    def metrics(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        window = self.parameters(Window)["window"]
        deployment = self.get_object()
        # Of a model served elsewhere only the newest figures are known: zeros here would be invented.
        points = [] if deployment.is_external else self._history(deployment, WINDOWS[window])
        return Response({"window": window, "results": [asdict(point) for point in points]})

    def _history(self, deployment: Deployment, length: timedelta) -> list[Point]:
        return series(deployment.pk, since=timezone.now() - length, buckets=BUCKETS)

    def _change(self, request: Request, deployment: Deployment, data: dict[str, Any]) -> None:
        wanted, reason = data.pop("status", ""), data.pop("reason", "")
        pushed = {name: data.pop(name) for name in PUSHED if name in data}
        if reason and not (wanted or pushed):
            raise Invalid(
                "A reason goes with a change of status, health or metrics.", fields={"reason": "unused"}
            )
        deployments.update(actor=request.user, deployment=deployment, **data)
        if (
            deployment.is_external
            or pushed
            or wanted not in ("", DeploymentStatus.TERMINATED, DeploymentStatus.ROLLBACK)
        ):
            if wanted or pushed:
                external.push(
                    actor=request.user, deployment=deployment, status=wanted, reason=reason, **pushed
                )
        elif wanted == DeploymentStatus.TERMINATED:
            deployments.terminate(actor=request.user, deployment=deployment, reason=reason)
        elif wanted == DeploymentStatus.ROLLBACK:
            deployments.roll_back(actor=request.user, deployment=deployment, reason=reason)

    def _answer(self, deployment: Deployment, status_code: int = status.HTTP_200_OK) -> Response:
        return Response(DeploymentDetailSerializer(deployment).data, status=status_code)
