"""/experiments: make them, look at what their runs came to, put them away."""

from typing import Any

import django_filters
from django.db.models import Prefetch, QuerySet
from django.utils.translation import gettext_lazy as _
from rest_framework import status
from rest_framework.decorators import action
from rest_framework.request import Request

from core.api.filters import MomentFilter
from core.api.serializers import NoFields
from core.api.views import Listed, Response
from lifecycle.api.base import LifecycleResource, with_tag
from lifecycle.api.serializers.experiments import (
    ExperimentChange,
    ExperimentDetailSerializer,
    ExperimentInput,
    ExperimentSerializer,
)
from lifecycle.models import Experiment, Run
from lifecycle.operations import experiments
from lifecycle.states import ExperimentStatus


class ExperimentFilters(django_filters.FilterSet):
    owner = django_filters.CharFilter(field_name="owner__username")
    status = django_filters.ChoiceFilter(choices=ExperimentStatus.choices)
    tag = django_filters.CharFilter(
        method="with_tags", help_text="`name`, or `name=value`; may be given several times, and all must hold"
    )
    created_after = MomentFilter(field_name="created_at", lookup_expr="gte")
    created_before = MomentFilter(field_name="created_at", lookup_expr="lt")

    def with_tags(self, queryset: QuerySet, _name: str, _value: str) -> QuerySet:
        """`?tag=` may be given several times; all must hold."""
        for tag in self.data.getlist("tag"):
            queryset = queryset.filter(pk__in=with_tag(Experiment.objects.all(), tag).values("pk"))
        return queryset


class ExperimentViewSet(Listed, LifecycleResource):
    """Experiments: a question each, with the runs that try to answer it."""

    noun, plural, tag = _("experiment"), _("experiments"), "Experiments"
    serializer_class = ExperimentSerializer
    inputs = {"create": ExperimentInput, "partial_update": ExperimentChange, "restore": NoFields}
    answers = dict.fromkeys(("create", "retrieve", "partial_update", "restore"), ExperimentDetailSerializer)
    filterset_class = ExperimentFilters
    ordering_fields = ("name", "created_at", "updated_at", "status", "owner__username")
    search_fields = ("name", "description")
    export_name = "experiments"
    lookup_field = "name"
    lookup_value_regex = "[^/]+"

    def get_queryset(self) -> QuerySet[Experiment]:
        latest = Run.objects.latest_completed().prefetch_related("metrics")
        return (
            Experiment.objects.visible_to(self.request.user)
            .select_related("owner")
            .prefetch_related(Prefetch("runs", queryset=latest, to_attr="latest_completed"))
        )

    def get_object(self) -> Experiment:
        return experiments.find_experiment(self.request.user, self.kwargs["name"])

    def create(self, request: Request) -> Response:
        """Create an experiment."""
        made = experiments.create_experiment(actor=request.user, **self.parse())
        return self._answer(made, status.HTTP_201_CREATED)

    def retrieve(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """Show an experiment.

        With how many runs it has of each status, the best run by each metric, and the end of the log and the files
        of the run that completed last.
        """
        return self._answer(self.get_object())

    def partial_update(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """Change an experiment.

        Fields that are not sent stay as they are. `tags` and `metadata` are replaced as a whole.
        """
        changes = self.parse()
        return self._answer(
            experiments.update_experiment(actor=request.user, experiment=self.get_object(), **changes)
        )

    def destroy(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """Archive an experiment.

        Nothing is lost: it takes no new runs until it is restored.
        """
        experiments.archive_experiment(actor=request.user, experiment=self.get_object())
        return Response(status=status.HTTP_204_NO_CONTENT)

    @action(detail=True, methods=["post"])
    def restore(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """Restore an archived experiment."""
        experiment = self.get_object()
        self.parse()
        experiments.restore_experiment(actor=request.user, experiment=experiment)
        return self._answer(experiment)

    def _answer(self, experiment: Experiment, code: int = status.HTTP_200_OK) -> Response:
        shown = self.get_queryset().get(pk=experiment.pk)
        return Response(
            ExperimentDetailSerializer(shown, context=self.get_serializer_context()).data, status=code
        )
