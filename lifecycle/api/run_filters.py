"""Filtering and ordering runs by what was logged to them."""

import math
import re
from typing import Any

import django_filters
from django.db.models import F, OuterRef, QuerySet, Subquery
from rest_framework.exceptions import ValidationError
from rest_framework.filters import BaseFilterBackend
from rest_framework.request import Request

from core.api.filters import MomentFilter, Ordering
from core.translation import gettext as _
from lifecycle.models import RunMetric, RunParameter, RunTag
from lifecycle.states import RunStatus

METRIC, PARAMETER = "metric.", "param."
METRIC_LOOKUPS = ("gte", "gt", "lte", "lt", "exact")
PARAMETER_LOOKUPS = ("exact", "icontains")


class RunFilters(django_filters.FilterSet):
    experiment_name = django_filters.CharFilter(field_name="experiment__name")
    status = django_filters.MultipleChoiceFilter(choices=RunStatus.choices)
    created_by = django_filters.CharFilter(field_name="created_by__username")
    started_after = MomentFilter(field_name="started_at", lookup_expr="gte")
    started_before = MomentFilter(field_name="started_at", lookup_expr="lt")
    tag = django_filters.CharFilter(
        method="with_tags", help_text="`name`, or `name=value`; may be given several times, and all must hold"
    )

    def with_tags(self, queryset: QuerySet, _name: str, _value: str) -> QuerySet:
        """`?tag=` is a name, or name=value; given several times, all must hold."""
        for tag in self.data.getlist("tag"):
            name, equals, value = tag.partition("=")
            rows = (
                RunTag.objects.filter(name=name, value=value) if equals else RunTag.objects.filter(name=name)
            )
            queryset = queryset.filter(pk__in=rows.values("run"))
        return queryset


class LoggedValueFilters(BaseFilterBackend):
    """`metric.<name>__gte=0.9` on latest values (on any dataset) and `param.<name>__icontains=adam`; all must
    hold.
    """

    def filter_queryset(self, request: Request, queryset: QuerySet, view: Any) -> QuerySet:
        for parameter, values in request.query_params.lists():
            for value in values:
                if parameter.startswith(METRIC):
                    queryset = queryset.filter(pk__in=_runs_by_metric(parameter, value))
                elif parameter.startswith(PARAMETER):
                    queryset = queryset.filter(pk__in=_runs_by_parameter(parameter, value))
        return queryset

    def get_schema_operation_parameters(self, view: Any) -> list[dict[str, Any]]:
        """Objects whose keys are parameters: `?metric.accuracy__gte=0.9`."""
        return [
            _comparisons(
                "metrics",
                METRIC,
                METRIC_LOOKUPS,
                {"type": "number"},
                {"metric.accuracy__gte": 0.9},
                "the latest values of metrics, on any dataset",
            ),
            _comparisons(
                "parameters",
                PARAMETER,
                PARAMETER_LOOKUPS,
                {"type": "string"},
                {"param.solver__icontains": "adam"},
                "parameters",
            ),
        ]


def _comparisons(
    name: str,
    prefix: str,
    lookups: tuple[str, ...],
    value: dict[str, str],
    example: dict[str, Any],
    what: str,
) -> dict[str, Any]:
    pattern = f"^{re.escape(prefix)}.+__({'|'.join(lookups)})$"
    return {
        "name": name,
        "in": "query",
        "description": f"`{prefix}<name>__<comparison>` on {what}, with one of {', '.join(lookups)}. All must hold.",
        "style": "form",
        "explode": True,
        "schema": {"type": "object", "patternProperties": {pattern: value}, "additionalProperties": False},
        "example": example,
    }


def _runs_by_metric(parameter: str, text: str) -> QuerySet:
    name, lookup = _name_and_lookup(parameter, METRIC, METRIC_LOOKUPS)
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if math.isnan(value):
        raise ValidationError({parameter: _("“%(text)s” is not a number.") % {"text": text}})
    return RunMetric.objects.filter(name=name, is_nan=False, **{f"value__{lookup}": value}).values("run")


def _runs_by_parameter(parameter: str, text: str) -> QuerySet:
    name, lookup = _name_and_lookup(parameter, PARAMETER, PARAMETER_LOOKUPS)
    return RunParameter.objects.filter(name=name, **{f"value__{lookup}": text}).values("run")


def _name_and_lookup(parameter: str, prefix: str, lookups: tuple[str, ...]) -> tuple[str, str]:
    name, _separator, lookup = parameter.removeprefix(prefix).rpartition("__")
    if not name or lookup not in lookups:
        raise ValidationError(
            {parameter: f"Write {prefix}<name>__<comparison>, one of {', '.join(lookups)}."}
        )
    return name, lookup


class RunOrdering(Ordering):
    """Also `?ordering=-metric.accuracy`, by the latest value; runs without one, or with NaN, come last."""

    also = f"{METRIC}<name>"
    also_pattern = rf"{re.escape(METRIC)}.+"

    def remove_invalid_fields(
        self, queryset: QuerySet, fields: list[str], view: Any, request: Request
    ) -> list[str]:
        super().remove_invalid_fields(
            queryset, [field for field in fields if not _metric_in(field)], view, request
        )
        return [*fields, "-pk"]

    def filter_queryset(self, request: Request, queryset: QuerySet, view: Any) -> QuerySet:
        terms: list[Any] = []
        for place, field in enumerate(self.get_ordering(request, queryset, view) or ()):
            metric = _metric_in(field)
            if metric is None:
                terms.append(field)
                continue
            latest = RunMetric.objects.filter(run=OuterRef("pk"), name=metric, is_nan=False).order_by(
                "dataset"
            )
            queryset = queryset.alias(**{f"metric_{place}": Subquery(latest.values("value")[:1])})
            value = F(f"metric_{place}")
            terms.append(value.desc(nulls_last=True) if field.startswith("-") else value.asc(nulls_last=True))
        return queryset.order_by(*terms) if terms else queryset


def _metric_in(field: str) -> str | None:
    name = field.removeprefix("-")
    return name.removeprefix(METRIC) if name.startswith(METRIC) and name != METRIC else None
