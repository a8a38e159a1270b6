"""/runs and what is logged to a run: metric points and log lines."""

from typing import Any

from django.db.models import Prefetch, QuerySet
from rest_framework import serializers, status
from rest_framework.decorators import action
from rest_framework.request import Request

from core.api.filters import Filters, KnownParameters, Search
from core.api.parsers import StrictJSONParser
from core.api.serializers import Number
from core.api.views import Listed, Response
from core.errors import Invalid
from core.translation import gettext as _
from lifecycle.api.base import LifecycleResource, OfRun, Paged, Parameters
from lifecycle.api.parsers import LinesParser
from lifecycle.api.run_filters import METRIC, PARAMETER, LoggedValueFilters, RunFilters, RunOrdering
from lifecycle.api.serializers.runs import (
    CompareInput,
    LinesInput,
    LogLineSerializer,
    MetricsInput,
    PointSerializer,
    RunChange,
    RunInput,
    RunSerializer,
)
from lifecycle.models import Artifact, Experiment, MetricPoint, Run, RunLogLine
from lifecycle.operations import comparison, logs, metrics, runs


class RunViewSet(Listed, LifecycleResource):
    serializer_class = RunSerializer
    filterset_class = RunFilters
    filter_backends = [KnownParameters, Filters, LoggedValueFilters, Search, RunOrdering]
    extra_parameter_prefixes = (METRIC, PARAMETER)
    ordering_fields = (
        "created_at",
        "updated_at",
        "started_at",
        "completed_at",
        "name",
        "status",
        "experiment__name",
    )
    search_fields = ("name", "run_id", "notes", "experiment__name")
    export_name = "runs"
    lookup_field = "run_id"
    lookup_value_regex = "[^/]+"

    def get_queryset(self) -> QuerySet[Run]:
        return (
            Run.objects.visible_to(self.request.user)
            .kept()
            .select_related("experiment", "created_by")
            .prefetch_related(
                "parameters",
                "metrics",
                "tag_rows",
                Prefetch("artifacts", Artifact.objects.select_related("run")),
            )
        )

    def get_object(self) -> Run:
        return runs.find_run(self.request.user, self.kwargs["run_id"])

    def create(self, request: Request) -> Response:
        data = self.parse(serializer_class=RunInput)
        name = data.pop("experiment_name")
        experiment = Experiment.objects.visible_to(request.user).filter(name=name).first()
        if experiment is None:
            problem = _("There is no experiment “%(name)s”. Create it first.") % {"name": name}
            raise Invalid(problem, fields={"experiment_name": problem})
        run = runs.create_run(actor=request.user, experiment=experiment, **data)
        return self._answer(run, status.HTTP_201_CREATED)

    def retrieve(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        return self._answer(self.get_object())

    def partial_update(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        changes = self.parse(serializer_class=RunChange)
        return self._answer(runs.update_run(actor=request.user, run=self.get_object(), **changes))

    def destroy(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        runs.delete_run(actor=request.user, run=self.get_object())
        return Response(status=status.HTTP_204_NO_CONTENT)

    @action(detail=True, methods=["post"])
    def restore(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        run = runs.find_run(request.user, self.kwargs["run_id"], deleted=True)
        runs.restore_run(actor=request.user, run=run)
        return self._answer(run)

    @action(detail=False, methods=["post"])
    def compare(self, request: Request) -> Response:
        asked = self.parse(serializer_class=CompareInput)
        return Response(ComparisonSerializer(comparison.compare_runs(actor=request.user, **asked)).data)

    def _answer(self, run: Run, code: int = status.HTTP_200_OK) -> Response:
        return Response(self.get_serializer(self.get_queryset().get(pk=run.pk)).data, status=code)


class ComparedRun(serializers.ModelSerializer):
    experiment_name = serializers.CharField(source="experiment.name")

    class Meta:
        model = Run
        fields = ["run_id", "name", "experiment_name", "status", "started_at", "duration_seconds"]


class ComparedMetric(serializers.Serializer):
    metric_name = serializers.CharField()
    dataset = serializers.CharField()
    values = serializers.DictField(child=Number(allow_null=True))


class ComparisonSerializer(serializers.Serializer):
    runs = ComparedRun(many=True)
    parameters = serializers.ListField()
    metrics = ComparedMetric(many=True)
    histories = serializers.SerializerMethodField()
    histories_left_out = serializers.ListField()

    def get_histories(self, compared: dict[str, Any]) -> list[dict[str, Any]]:
        number = Number().to_representation
        return [
            {
                **history,
                "series": [
                    {
                        "run_id": series["run_id"],
                        "points": [
                            {"step": step, "value": number(value)} for step, value in series["points"]
                        ],
                    }
                    for series in history["series"]
                ],
            }
            for history in compared["histories"]
        ]


class HistoryQuery(Paged):
    key = serializers.CharField(required=False)
    dataset = serializers.CharField(required=False, allow_blank=True)
    max_points = serializers.IntegerField(required=False, min_value=4, max_value=5000)

    def validate(self, asked: dict[str, Any]) -> dict[str, Any]:
        if "max_points" in asked and "key" not in asked:
            raise serializers.ValidationError({"max_points": _("Name the metric to downsample with “key”.")})
        if "max_points" in asked and {"limit", "offset"} & set(asked):
            raise serializers.ValidationError(
                {"max_points": _("A downsampled history is not paged: give one or the other.")}
            )
        return asked


class RunMetricViewSet(OfRun):
    """The points of a run's metrics: append a batch; read pages, or one metric's history downsampled."""

    serializer_class = PointSerializer

    def get_queryset(self) -> QuerySet[MetricPoint]:
        return metrics.history(run=self.run)

    def create(self, request: Request, run_id: str) -> Response:
        run = self.run
        points = self.parse(serializer_class=MetricsInput)["metrics"]
        metrics.log_metrics(actor=request.user, run=run, metrics=points)
        return Response({"logged": len(points)}, status=status.HTTP_201_CREATED)

    def list(self, request: Request, run_id: str) -> Response:
        asked = self.parameters(HistoryQuery)
        chosen = {"key": asked.get("key", ""), "dataset": asked.get("dataset")}
        if "max_points" in asked:
            points, total = metrics.downsampled_history(
                run=self.run, **chosen, max_points=asked["max_points"]
            )
            answer = {"count": total, "next": None, "previous": None}
            return Response({**answer, "results": self.get_serializer(points, many=True).data})
        page = self.paginate_queryset(metrics.history(run=self.run, **chosen))
        return self.get_paginated_response(self.get_serializer(page, many=True).data)


class LinesQuery(Parameters):
    after = serializers.IntegerField(default=0, min_value=0, max_value=2**63 - 1)
    limit = serializers.IntegerField(default=1000, min_value=1, max_value=1000)


class RunLogViewSet(OfRun):
    """A run's log: append lines, as JSON or as plain text; read on after the id of the last line seen."""

    serializer_class = LogLineSerializer
    parser_classes = [StrictJSONParser, LinesParser]

    def get_queryset(self) -> QuerySet[RunLogLine]:
        return self.run.log_lines.all()

    def create(self, request: Request, run_id: str) -> Response:
        run = self.run
        lines = self.parse(serializer_class=LinesInput)["lines"]
        last = logs.append_lines(actor=request.user, run=run, lines=lines)
        return Response({"logged": len(lines), "last_id": last}, status=status.HTTP_201_CREATED)

    def list(self, request: Request, run_id: str) -> Response:
        lines = list(logs.lines_after(run=self.run, **self._asked()))
        after = lines[-1].pk if lines else self._asked()["after"]
        return Response({"results": self.get_serializer(lines, many=True).data, "after": after})

    def _asked(self) -> dict[str, int]:
        asked = self.parameters(LinesQuery)
        return {"after": asked["after"], "limit": asked["limit"]}
