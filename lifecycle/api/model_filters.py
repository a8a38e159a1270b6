"""What a list of model versions can be narrowed by."""

import math
from typing import Any

import django_filters
from django.db.models import FloatField, Q, QuerySet
from django.db.models.functions import Cast
from rest_framework.exceptions import ValidationError
from rest_framework.filters import BaseFilterBackend
from rest_framework.request import Request

from lifecycle.api.base import with_tag
from lifecycle.lookups import TagText
from lifecycle.models import ModelVersion
from lifecycle.states import Stage, VersionStatus

MINIMUM = "min_"


class ModelVersionFilters(django_filters.FilterSet):
    model_name = django_filters.CharFilter(field_name="model__name")
    version_label = django_filters.CharFilter()
    run_id = django_filters.CharFilter(field_name="run__run_id")
    created_by = django_filters.CharFilter(field_name="created_by__username")
    stage = django_filters.MultipleChoiceFilter(choices=Stage.choices, distinct=False)
    status = django_filters.MultipleChoiceFilter(choices=VersionStatus.choices, distinct=False)
    tag = django_filters.CharFilter(method="with_tag", help_text="`name`, or `name=value`")

    def with_tag(self, queryset: QuerySet, _name: str, value: str) -> QuerySet:
        return with_tag(queryset, value)


class MetricMinimum(BaseFilterBackend):
    """`?min_<metric>=`: versions with that metric, at least so large, as in `?min_accuracy=0.9`."""

    def filter_queryset(self, request: Request, queryset: QuerySet[ModelVersion], view: Any) -> QuerySet:
        asked = [(key, value) for key, value in request.query_params.items() if key.startswith(MINIMUM)]
        for index, (key, value) in enumerate(asked):
            queryset = _at_least(
                queryset, key.removeprefix(MINIMUM), _number(key, value), prefix=f"minimum{index}"
            )
        return queryset

    def get_schema_operation_parameters(self, view: Any) -> list[dict[str, Any]]:
        """An object whose keys are parameters: `?min_accuracy=0.9`."""
        return [
            {
                "name": "minimums",
                "in": "query",
                "description": "`min_<metric>=`: versions with that metric, at least so large.",
                "style": "form",
                "explode": True,
                "schema": {
                    "type": "object",
                    "patternProperties": {f"^{MINIMUM}": {"type": "number"}},
                    "additionalProperties": False,
                },
                "example": {"min_accuracy": 0.9},
            }
        ]


def _number(key: str, text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise ValidationError({key: "Give the least value of a metric as a number, as in min_accuracy=0.9."})
    return number


def _at_least(queryset: QuerySet, metric: str, least: float, *, prefix: str) -> QuerySet:
    """NaN and the infinities are words in the JSON: infinity passes every minimum, the others pass none."""
    text, number = f"{prefix}_text", f"{prefix}_number"
    return (
        queryset.alias(**{text: TagText("metrics", metric)})
        .alias(**{number: Cast(text, FloatField())})
        .filter(
            Q(**{text: "Infinity"})
            | Q(**{f"{number}__gte": least}) & ~Q(**{f"{text}__in": ["NaN", "-Infinity"]})
        )
    )
