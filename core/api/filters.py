"""Filtering, searching and ordering of lists; what is not understood is refused, naming what is."""

import re
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

import django_filters
from django import forms
from django.db.models import QuerySet
from django_filters.fields import IsoDateTimeField
from django_filters.rest_framework import DjangoFilterBackend
from rest_framework.exceptions import ValidationError
from rest_framework.filters import BaseFilterBackend, OrderingFilter, SearchFilter
from rest_framework.request import Request

COMMON = frozenset({"limit", "offset", "ordering", "search", "export", "format"})
# Each word is a condition for each searched column, and SQLite takes no expression deeper than 1,000.
MAX_SEARCH_WORDS = 20


class WholeNumberFilter(django_filters.NumberFilter):
    """An integer; 1.5 is refused, where a plain number filter would look for 1."""

    field_class = forms.IntegerField


class TrueOrFalse(forms.NullBooleanField):
    """True or false; Django's own field takes every other word for "does not matter"."""

    widget = forms.TextInput

    def clean(self, value: Any) -> bool | None:
        answer = super().clean(value)
        if answer is None and value not in (None, ""):
            raise forms.ValidationError("Use true or false.")
        return answer


class TrueOrFalseFilter(django_filters.BooleanFilter):
    """true or false; anything else is refused, where a plain filter would return everything."""

    field_class = TrueOrFalse


class Moment(IsoDateTimeField):
    """A time that is still one in UTC: near the ends of the calendar an offset leads out of it."""

    def clean(self, value: Any) -> datetime | None:
        moment = super().clean(value)
        try:
            return moment and moment.astimezone(UTC)
        except OverflowError as error:
            raise forms.ValidationError("This time is out of range.") from error


class MomentFilter(django_filters.IsoDateTimeFilter):
    """An ISO 8601 time."""

    field_class = Moment


class KnownParameters(BaseFilterBackend):
    """Refuses query parameters that would change nothing: a misspelt filter must not return everything."""

    def filter_queryset(self, request: Request, queryset: QuerySet, view: Any) -> QuerySet:
        if any("\x00" in text for name, values in request.query_params.lists() for text in (name, *values)):
            raise ValidationError("A parameter holds a NUL character, which no value here can.")
        filterset = getattr(view, "filterset_class", None)
        known = COMMON | set(filterset.base_filters if filterset else ()) | set(view.extra_parameters)
        prefixes = tuple(view.extra_parameter_prefixes)
        unknown = [
            name for name in request.query_params if name not in known and not name.startswith(prefixes)
        ]
        if unknown:
            allowed = ", ".join(sorted(known - {"format"}))
            raise ValidationError(dict.fromkeys(unknown, f"There is no such parameter. Known: {allowed}."))
        return queryset


class Filters(DjangoFilterBackend):
    """django-filter, with the allowed values named when a choice is wrong."""

    def filter_queryset(self, request: Request, queryset: QuerySet, view: Any) -> QuerySet:
        filterset = self.get_filterset(request, queryset, view)
        if filterset is None:
            return queryset
        if not filterset.is_valid():
            raise ValidationError(
                {
                    name: [*problems, *self._allowed(filterset.form.fields.get(name))]
                    for name, problems in filterset.errors.items()
                }
            )
        return filterset.qs

    def _allowed(self, field: Any) -> list[str]:
        choices = [str(value) for value, _label in getattr(field, "choices", []) if value not in ("", None)]
        return [f"Allowed: {', '.join(choices)}."] if choices else []


class Search(SearchFilter):
    """`?search=` over the view's `search_fields`: rows that have every word."""

    def get_search_terms(self, request: Request) -> list[str]:
        words = list(super().get_search_terms(request))
        if len(words) > MAX_SEARCH_WORDS:
            raise ValidationError({"search": f"Search for at most {MAX_SEARCH_WORDS} words."})
        return words

    def get_schema_operation_parameters(self, view: Any) -> list[dict[str, Any]]:
        searched = ", ".join(field.removesuffix("__text").replace("__", " ") for field in view.search_fields)
        return [
            {
                "name": "search",
                "in": "query",
                "description": f"Rows that have every word, in {searched}. At most {MAX_SEARCH_WORDS} words.",
                "schema": {"type": "string"},
                "example": "diabetes",
            }
        ]


class Ordering(OrderingFilter):
    """`?ordering=a,-b` over the view's `ordering_fields`; ties fall to the primary key so that pages are stable."""

    also = ""  # what a list can be ordered by besides, and its regular expression
    also_pattern = ""

    def remove_invalid_fields(
        self, queryset: QuerySet, fields: Iterable[str], view: Any, request: Request
    ) -> list[str]:
        allowed = list(view.ordering_fields)
        unknown = [field for field in fields if field.removeprefix("-") not in allowed]
        if unknown:
            raise ValidationError(
                {"ordering": f"Cannot order by {', '.join(unknown)}. Allowed: {', '.join(allowed)}."}
            )
        return [*fields, "-pk"]

    def get_schema_operation_parameters(self, view: Any) -> list[dict[str, Any]]:
        allowed = [*view.ordering_fields, *([self.also] if self.also else [])]
        known = [*map(re.escape, view.ordering_fields), *([self.also_pattern] if self.also else [])]
        return [
            {
                "name": "ordering",
                "in": "query",
                "description": f"By what to order; a leading “-” reverses. Of {', '.join(allowed)}.",
                "style": "form",
                "explode": False,
                "schema": {
                    "type": "array",
                    "items": {"type": "string", "pattern": f"^-?({'|'.join(known)})$"},
                },
                "example": [f"-{view.ordering_fields[0]}"],
            }
        ]
