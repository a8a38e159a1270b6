"""Filters of lists: small forms that ask for a value instead of listing what there is, so that none reads a table."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime, time, timedelta
from typing import Any

from django import forms
from django.contrib import messages
from django.contrib.admin import ListFilter, ModelAdmin
from django.contrib.admin.views.main import ChangeList
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from unfold.widgets import UnfoldAdminSelectWidget, UnfoldAdminTextInputWidget

from core.translation import gettext

LARGEST_ID = 2**63 - 1
LONGEST_TEXT = 500


class FormFilter(ListFilter):
    """A filter of one or more form fields; `condition` says what a valid answer means.

    An answer that is not valid finds nothing and says why.
    """

    template = "admin/filter_fields.html"
    fields: Mapping[str, forms.Field]

    def __init__(self, request: HttpRequest, params: dict[str, Any], model: Any, model_admin: ModelAdmin):
        super().__init__(request, params, model, model_admin)
        for name in self.fields:
            if name in params and (value := params.pop(name)[-1]):
                self.used_parameters[name] = value

    def has_output(self) -> bool:
        return True

    def expected_parameters(self) -> list[str | None]:
        return list(self.fields)

    def condition(self, answer: dict[str, Any]) -> Q:
        raise NotImplementedError

    def queryset(self, request: HttpRequest, queryset: QuerySet) -> QuerySet:
        form = self._form()
        if not form.is_valid():
            for problems in form.errors.values():
                messages.error(
                    request,
                    gettext("Filter “%(filter)s”: %(problem)s")
                    % {"filter": str(self.title), "problem": " ".join(map(str, problems))},
                )
            return queryset.none()
        return queryset.filter(self.condition(form.cleaned_data))

    def choices(self, changelist: ChangeList) -> Iterator[dict[str, Any]]:
        yield {"form": self._form()}

    def _form(self) -> forms.Form:
        form = forms.Form(self.used_parameters)
        form.fields.update(self.fields)
        return form


def choices(
    parameter: str, title: Any, options: Sequence[tuple[str, Any]], *, lookup: str = ""
) -> type[ListFilter]:
    """One of a few known values."""
    return conditions(
        parameter, title, [(value, label, Q(**{lookup or parameter: value})) for value, label in options]
    )


def conditions(parameter: str, title: Any, options: Sequence[tuple[str, Any, Q]]) -> type[ListFilter]:
    """One of a few conditions, each as (its word in the address, its label, the condition)."""
    meaning = {value: condition for value, _label, condition in options}
    shown = [("", _("All")), *((value, label) for value, label, _condition in options)]
    field = forms.ChoiceField(label=title, choices=shown, required=False, widget=UnfoldAdminSelectWidget)

    class Choice(FormFilter):
        def condition(self, answer: dict[str, Any]) -> Q:
            return meaning.get(answer[parameter], Q())

    return _named(Choice, title, {parameter: field})


def text(parameter: str, title: Any, *, lookup: str = "") -> type[ListFilter]:
    """A text that is compared as it is, or by another `lookup`."""
    field = forms.CharField(
        label=title, required=False, max_length=LONGEST_TEXT, widget=UnfoldAdminTextInputWidget
    )
    return _one(parameter, title, field, lookup)


def number(parameter: str, title: Any, *, lookup: str = "") -> type[ListFilter]:
    """A whole number such as an id."""
    field = forms.IntegerField(
        label=title,
        required=False,
        min_value=0,
        max_value=LARGEST_ID,
        widget=UnfoldAdminTextInputWidget({"inputmode": "numeric"}),
    )
    return _one(parameter, title, field, lookup)


def dates(parameter: str, title: Any) -> type[ListFilter]:
    """From one day to another, both included, in UTC."""
    first, last = f"{parameter}_from", f"{parameter}_to"

    def day(label: Any) -> forms.DateField:
        return forms.DateField(
            label=label, required=False, widget=UnfoldAdminTextInputWidget({"type": "date"})
        )

    class Dates(FormFilter):
        def condition(self, answer: dict[str, Any]) -> Q:
            found = Q()
            if answer[first]:
                found &= Q(**{f"{parameter}__gte": _start_of(answer[first])})
            if answer[last] and answer[last] < date.max:
                found &= Q(**{f"{parameter}__lt": _start_of(answer[last] + timedelta(days=1))})
            return found

    return _named(Dates, title, {first: day(_("From day (UTC)")), last: day(_("To day (UTC)"))})


def _one(parameter: str, title: Any, field: forms.Field, lookup: str) -> type[ListFilter]:
    class One(FormFilter):
        def condition(self, answer: dict[str, Any]) -> Q:
            value = answer[parameter]
            return Q() if value in (None, "") else Q(**{lookup or parameter: value})

    return _named(One, title, {parameter: field})


def _named(kind: type[FormFilter], title: Any, fields: dict[str, forms.Field]) -> type[ListFilter]:
    return type(kind.__name__, (kind,), {"title": title, "fields": fields})


def _start_of(day: date) -> datetime:
    return datetime.combine(day, time.min, tzinfo=timezone.get_default_timezone())


# Of rows that are put aside, not deleted.
KEPT = conditions(
    "kept",
    _("Deleted"),
    [("no", _("No"), Q(deleted_at=None)), ("yes", _("Yes"), Q(deleted_at__isnull=False))],
)
