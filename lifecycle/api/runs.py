"""/runs and what is logged to a run: metric points and log lines."""

from typing import Any

from django.db.models import Prefetch, QuerySet
from django.utils.translation import gettext_lazy as _
from drf_spectacular.utils import extend_schema
from rest_framework import status
from rest_framework.decorators import action
from rest_framework.request import Request

from core.api.filters import Filters, KnownParameters, Search
from core.api.parsers import StrictJSONParser
from core.api.serializers import NoFields
from core.api.views import Listed, Response
from core.errors import Invalid
from core.translation import gettext
from lifecycle.api.base import LifecycleResource, OfRun
from lifecycle.api.parsers import LinesParser
from lifecycle.api.run_filters import METRIC, PARAMETER, LoggedValueFilters, RunFilters, RunOrdering
from lifecycle.api.serializers.comparison import CompareInput, RunComparisonSerializer
from lifecycle.api.serializers.runs import (
    HistoryQuery,
    LinesInput,
    LinesLoggedSerializer,
    LinesQuery,
    MetricsInput,
    MetricsLoggedSerializer,
    PointSerializer,
    RunChange,
    RunInput,
    RunLogLinesSerializer,
    RunSerializer,
)
from lifecycle.models import Artifact, Experiment, MetricPoint, Run, RunLogLine
from lifecycle.operations import comparison, logs, metrics, runs

LINES = "epoch 1: loss 0.62\nepoch 2: loss 0.48\n"


class RunViewSet(Listed, LifecycleResource):
    """Runs: one training or one try each, with parameters, metrics, log lines, files and the data it used."""

    noun, plural, tag = _("run"), _("runs"), "Runs"
    serializer_class = RunSerializer
    inputs = {
        "create": RunInput,
        "partial_update": RunChange,
        "restore": NoFields,
        "compare": CompareInput,
    }
    answers = {"compare": RunComparisonSerializer}
    below = {
        _("Metrics"): "run-metric-api-list",
        _("Log"): "run-log-api-list",
        _("Files"): "run-artifact-api-list",
    }
    refusals = {"compare": (404,)}
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
        """Log a run.

        Its parameters and metrics may come with it or later. Its experiment is there already.
        """
        data = self.parse()
        name = data.pop("experiment_name")
        experiment = Experiment.objects.visible_to(request.user).filter(name=name).first()
        if experiment is None:
            problem = gettext("There is no experiment “%(name)s”. Create it first.") % {"name": name}
            raise Invalid(problem, fields={"experiment_name": problem})
        run = runs.create_run(actor=request.user, experiment=experiment, **data)
        return self._answer(run, status.HTTP_201_CREATED)

    def retrieve(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """Show a run."""
        return self._answer(self.get_object())

    def partial_update(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """Change a run.

        Parameters, metrics and tags are added to those that are there. Fields that are not sent stay as they are.
        """
        changes = self.parse()
        return self._answer(runs.update_run(actor=request.user, run=self.get_object(), **changes))

    def destroy(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """Delete a run.

        It leaves the lists, and can be restored.
        """
        runs.delete_run(actor=request.user, run=self.get_object())
        return Response(status=status.HTTP_204_NO_CONTENT)

    @action(detail=True, methods=["post"])
    def restore(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """Restore a deleted run."""
        self.parse()
        run = runs.find_run(request.user, self.kwargs["run_id"], deleted=True)
        runs.restore_run(actor=request.user, run=run)
        return self._answer(run)

    @action(detail=False, methods=["post"])
    def compare(self, request: Request) -> Response:
        """Compare 2 to 50 runs.

        The parameters that differ, a table of the latest metrics, and the histories of metrics on one axis of steps.
        """
        compared = comparison.compare_runs(actor=request.user, **self.parse())
        return Response(RunComparisonSerializer(compared).data)

    def _answer(self, run: Run, code: int = status.HTTP_200_OK) -> Response:
        return Response(self.get_serializer(self.get_queryset().get(pk=run.pk)).data, status=code)


class RunMetricViewSet(OfRun):
    """The points of a run's metrics: append a batch; read pages, or one metric's history downsampled."""

    noun, plural, tag = _("metric point"), _("metric points"), "Runs"
    serializer_class = PointSerializer
    inputs = {"create": MetricsInput}
    queries = {"list": HistoryQuery}
    answers = {"create": MetricsLoggedSerializer}

    def get_queryset(self) -> QuerySet[MetricPoint]:
        return metrics.history(run=self.run)

    @extend_schema(operation_id="log_metrics")
    def create(self, request: Request, run_id: str) -> Response:
        """Log points of metrics, a batch at once.

        Times are kept to the millisecond. A point that is there already, the same in all it says, is not kept twice, so
        that a batch may be sent again.
        """
        run = self.run
        points = self.parse()["metrics"]
        metrics.log_metrics(actor=request.user, run=run, metrics=points)
        return Response(MetricsLoggedSerializer({"logged": len(points)}).data, status=status.HTTP_201_CREATED)

    def list(self, request: Request, run_id: str) -> Response:
        """Read the history of a run's metrics.

        Paged; or with `key` and `max_points` one metric's history, thinned out so that its extremes are kept.
        """
        asked = self.parameters()
        chosen = {"key": asked.get("key", ""), "dataset": asked.get("dataset")}
        if "max_points" in asked:
            points, total = metrics.downsampled_history(
                run=self.run, **chosen, max_points=asked["max_points"]
            )
            answer = {"count": total, "next": None, "previous": None}
            return Response({**answer, "results": self.get_serializer(points, many=True).data})
        page = self.paginate_queryset(metrics.history(run=self.run, **chosen))
        return self.get_paginated_response(self.get_serializer(page, many=True).data)


class RunLogViewSet(OfRun):
    """A run's log: append lines, as JSON or as plain text; read on after the id of the last line seen."""

    noun, plural, tag = _("run log line"), _("run log lines"), "Runs"
    serializer_class = RunLogLinesSerializer
    pagination_class = None
    parser_classes = [StrictJSONParser, LinesParser]
    inputs = {"create": LinesInput}
    queries = {"list": LinesQuery}
    answers = {"create": LinesLoggedSerializer}

    def get_queryset(self) -> QuerySet[RunLogLine]:
        return self.run.log_lines.all()

    @extend_schema(
        operation_id="append_run_log_lines",
        request={"application/json": LinesInput, "text/plain": {"type": "string", "examples": [LINES]}},
    )
    def create(self, request: Request, run_id: str) -> Response:
        """Append lines to a run's log.

        As JSON, or as plain text with a line a line: `command | curl --data-binary @- -H 'Content-Type: text/plain'`.
        """
        run = self.run
        lines = self.parse()["lines"]
        last = logs.append_lines(actor=request.user, run=run, lines=lines)
        logged = LinesLoggedSerializer({"logged": len(lines), "last_id": last})
        return Response(logged.data, status=status.HTTP_201_CREATED)

    def list(self, request: Request, run_id: str) -> Response:
        """Read a run's log.

        Lines in order. To follow it, ask again with `after` set to the `after` that was answered.
        """
        asked = self.parameters()
        lines = list(logs.lines_after(run=self.run, after=asked["after"], limit=asked["limit"]))
        after = lines[-1].pk if lines else asked["after"]
        return Response(RunLogLinesSerializer({"results": lines, "after": after}).data)
