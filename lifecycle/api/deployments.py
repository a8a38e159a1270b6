"""/deployments: ask for them, look at them, end them, roll them back."""

from datetime import timedelta
from typing import Any

import django_filters
from django.db import transaction
from django.db.models import QuerySet
from django.shortcuts import get_object_or_404
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from rest_framework import serializers, status
from rest_framework.decorators import action
from rest_framework.request import Request

from core.api.filters import WholeNumberFilter
from core.api.views import Listed, Response
from core.errors import Invalid
from core.translation import gettext
from lifecycle.api.base import LifecycleResource, Parameters
from lifecycle.api.deployment_serializers import (
    DeploymentChange,
    DeploymentDetailSerializer,
    DeploymentEventsSerializer,
    DeploymentHistorySerializer,
    DeploymentInput,
    DeploymentLogLinesSerializer,
    DeploymentSerializer,
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
    """Deployments: attempts to serve a version in an environment, each with its timeline, log, health and figures."""

    noun, plural, tag = _("deployment"), _("deployments"), "Deployments"
    serializer_class = DeploymentSerializer
    inputs = {"create": DeploymentInput, "partial_update": DeploymentChange, "rollback": RollbackInput}
    queries = {"logs": After, "metrics": Window}
    answers = {
        "create": DeploymentDetailSerializer,
        "retrieve": DeploymentDetailSerializer,
        "partial_update": DeploymentDetailSerializer,
        "destroy": {200: DeploymentDetailSerializer},
        "rollback": {201: DeploymentDetailSerializer},
        "logs": DeploymentLogLinesSerializer,
        "events": DeploymentEventsSerializer,
        "metrics": DeploymentHistorySerializer,
    }
    refusals = {"create": (404,)}
    filterset_class = DeploymentFilters
    ordering_fields = ("created_at", "updated_at", "deployed_at", "environment", "status", "model__name")
    search_fields = ("model__name", "deployment_notes", "error_message__text")
    export_name = "deployments"
    lookup_value_regex = r"\d{1,18}"

    def get_queryset(self) -> QuerySet[Deployment]:
        return Deployment.objects.visible_to(self.request.user).with_origin()

    def get_object(self) -> Deployment:
        return get_object_or_404(self.get_queryset(), pk=self.kwargs["pk"])

    def create(self, request: Request) -> Response:
        """Deploy a version.

        It starts as “pending”; workers check it and carry it to “active”, while what served before goes on. Follow
        `status` and `/logs`. Staging and production need an approval and a stage.
        """
        data = self.parse()
        version = find_version(request.user, data.pop("model_name"), data.pop("version"))
        deployment = deployments.deploy(actor=request.user, version=version, **data)
        return self._answer(deployment, status.HTTP_201_CREATED)

    def retrieve(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """Show a deployment.

        With its figures of the last seven days, the newest log lines and its replicas.
        """
        return self._answer(self.get_object())

    def partial_update(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """Change a deployment.

        `status` asks for “terminated” or “rollback”: every other move is made by the platform. Health and figures come
        from traffic; only those of an external deployment can be pushed.
        """
        deployment = self.get_object()
        data = self.parse()
        with transaction.atomic():
            self._change(request, deployment, data)
        return self._answer(self.get_object())

    def destroy(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """Terminate a deployment.

        Its replicas finish what they have, and stop. It stays in the list as “terminated”.
        """
        return self._answer(deployments.terminate(actor=request.user, deployment=self.get_object()))

    @action(detail=True, methods=["post"])
    def rollback(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """Roll back to the version that served before.

        The answer is a new deployment with `rollback_from` set. The one rolled back from serves until that is active.
        """
        data = self.parse()
        created = deployments.roll_back(actor=request.user, deployment=self.get_object(), **data)
        return self._answer(created, status.HTTP_201_CREATED)

    @action(detail=True, methods=["get"])
    def logs(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """Read a deployment's log.

        Lines in order. To follow it, ask again with `after` set to the last `id`.
        """
        asked = self.parameters()
        lines = self.get_object().log_lines.filter(id__gt=asked["after"])[: asked["limit"]]
        return Response(DeploymentLogLinesSerializer({"results": lines}).data)

    @action(detail=True, methods=["get"])
    def events(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """Read a deployment's timeline: each change of state, with who and why."""
        events = self.get_object().events.select_related("actor")
        return Response(DeploymentEventsSerializer({"results": events}).data)

    @action(detail=True, methods=["get"])
    def metrics(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """Read how a deployment did over time, in at most 60 points."""
        window = self.parameters()["window"]
        deployment = self.get_object()
        # Of a model served elsewhere only the newest figures are known: zeros here would be invented.
        points = [] if deployment.is_external else self._history(deployment, WINDOWS[window])
        return Response(DeploymentHistorySerializer({"window": window, "results": points}).data)

    def _history(self, deployment: Deployment, length: timedelta) -> list[Point]:
        return series(deployment.pk, since=timezone.now() - length, buckets=BUCKETS)

    def _change(self, request: Request, deployment: Deployment, data: dict[str, Any]) -> None:
        wanted, reason = data.pop("status", ""), data.pop("reason", "")
        pushed = {name: data.pop(name) for name in PUSHED if name in data}
        if reason and not (wanted or pushed):
            unused = gettext("A reason goes with a change of status, health or metrics.")
            raise Invalid(unused, fields={"reason": unused})
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
