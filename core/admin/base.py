"""What every model's admin shares: rights from the roles, rows that only operations change, lists of bounded cost."""

from collections.abc import Callable, Sequence
from typing import Any
from urllib.parse import urlencode

from django import forms
from django.contrib.admin import ListFilter, ShowFacets
from django.core.exceptions import PermissionDenied, ValidationError
from django.db import models
from django.db.models import Model, QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.functional import cached_property
from django.utils.translation import gettext_lazy as _
from unfold.views import ChangeList
from unfold.widgets import UnfoldAdminTextareaWidget

from core.admin.actions import RowActions, actor_of
from core.admin.columns import unstyled
from core.admin.paging import KeysFirstPaginator
from core.errors import DomainError
from core.roles import Domain, Right, may

LONGEST_SEARCH = 200
MOST_WORDS = 5


class PlatformList(ChangeList):
    """A list that counts what it found once, and not also all there is."""

    def get_results(self, request: HttpRequest) -> None:
        super().get_results(request)
        if not self.query and not self.has_active_filters:
            self.full_result_count = self.result_count


class PlatformAdmin(RowActions):
    """A list and a detail of one model, read-only but for what an operation can edit.

    `facts` are the fields of the detail, named one by one so that no secret can slip in. `editable` are those a form
    may change: `edit` hands them to an operation. Who may what follows from `core.roles`; Django's permissions are not
    asked.
    """

    domain: Domain = Domain.CORE
    right_to_read: Right = Right.READ
    right_to_add: Right | None = None
    right_to_edit: Right | None = None
    facts: Sequence[str | Callable[..., Any]] = ()
    editable: Sequence[str] = ()
    related: Sequence[str] = ()
    # Lists that lead on from a row: (title, model's label, the filter's parameter, the row's attribute it takes).
    leads_to: Sequence[tuple[Any, str, str, str]] = ()

    show_full_result_count = False
    show_facets = ShowFacets.NEVER
    list_per_page = 50
    paginator = KeysFirstPaginator
    list_max_show_all = 0
    list_filter_submit = True
    list_fullwidth = True
    actions_on_top = True
    save_as = False
    view_on_site = False
    add_form: type[forms.ModelForm] | None = None

    formfield_overrides = {
        models.TextField: {"widget": UnfoldAdminTextareaWidget({"rows": 3})},
        models.JSONField: {"widget": UnfoldAdminTextareaWidget({"rows": 4})},
    }

    # --- Rights -------------------------------------------------------------------------------------------------------

    def has_module_permission(self, request: HttpRequest) -> bool:
        return self.has_view_permission(request)

    def has_view_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return may(actor_of(request), self.right_to_read, domain=self.domain)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return self.right_to_add is not None and may(actor_of(request), self.right_to_add, domain=self.domain)

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return self.right_to_edit is not None and may(
            actor_of(request), self.right_to_edit, domain=self.domain
        )

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Nothing is deleted here: what operations can put aside has an action."""
        return False

    # --- Lists --------------------------------------------------------------------------------------------------------

    def get_queryset(self, request: HttpRequest) -> QuerySet:
        rows = super().get_queryset(request)
        if hasattr(rows, "visible_to"):
            rows = rows.visible_to(actor_of(request))
        return rows.select_related(*self.related) if self.related else rows

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        return PlatformList

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet, search_term: str
    ) -> tuple[QuerySet, bool]:
        """Django looks for each word in each field; some words of some length are enough for people."""
        words = search_term[:LONGEST_SEARCH].split()[:MOST_WORDS]
        return super().get_search_results(request, queryset, " ".join(words))

    def lookup_allowed(self, lookup: str, value: str, request: HttpRequest) -> bool:
        """Only what the filters take. Django allows any field of the model: it would tell hashes letter by letter."""
        return any(lookup in filter_.fields for filter_ in self._filters(request))

    def _filters(self, request: HttpRequest) -> list[Any]:
        return [item for item in self.get_list_filter(request) if issubclass(item, ListFilter)]

    # --- Details and forms --------------------------------------------------------------------------------------------

    def get_fields(self, request: HttpRequest, obj: Model | None = None) -> list[Any]:
        if obj is None and self.add_form:
            return list(self.add_form.base_fields)
        return [*self._facts, *self._editable_for(request, obj)]

    def get_fieldsets(self, request: HttpRequest, obj: Model | None = None) -> list[Any]:
        if obj is None or not self.editable or not self.has_change_permission(request, obj):
            return [(None, {"fields": self.get_fields(request, obj)})]
        return [(None, {"fields": self._facts}), (_("Can be edited"), {"fields": self.editable})]

    def _editable_for(self, request: HttpRequest, obj: Model | None) -> Sequence[Any]:
        return self.editable if self.has_change_permission(request, obj) else self._editable_as_facts

    @cached_property
    def _facts(self) -> list[Any]:
        return [self._as_fact(fact) for fact in self.facts]

    @cached_property
    def _editable_as_facts(self) -> list[Any]:
        """What a form would edit, for who may only look."""
        return [self._as_fact(name) for name in self.editable]

    def _as_fact(self, fact: Any) -> Any:
        is_field = fact in {field.name for field in self.opts.get_fields()}
        return unstyled(self.opts.get_field(fact)) if is_field else fact

    def get_readonly_fields(self, request: HttpRequest, obj: Model | None = None) -> list[Any]:
        return [] if obj is None and self.add_form else self._facts

    def get_form(
        self, request: HttpRequest, obj: Model | None = None, change: bool = False, **kwargs: Any
    ) -> type[forms.ModelForm]:
        if obj is None and self.add_form:
            kwargs["form"] = self.add_form
        return _refusable(super().get_form(request, obj, change, **kwargs), request)

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        """What an operation refuses is shown in the form, beside what was typed: nothing of that is lost."""
        context = {"leads_to": self._leads(request, object_id)} | (extra_context or {})
        try:
            return super().changeform_view(request, object_id, form_url, context)
        except DomainError as error:
            request.refusal = error.detail  # type: ignore[attr-defined]
        except ValidationError as error:
            request.refusal = " ".join(error.messages)  # type: ignore[attr-defined]
        return super().changeform_view(request, object_id, form_url, context)

    def save_model(self, request: HttpRequest, obj: Model, form: forms.ModelForm, change: bool) -> None:
        if change:
            changes = {name: form.cleaned_data[name] for name in form.changed_data}
            if changes:
                self.edit(request, obj, changes)
        else:
            obj.pk = self.make(request, form.cleaned_data).pk
            obj.refresh_from_db()

    def edit(self, request: HttpRequest, row: Model, changes: dict[str, Any]) -> None:
        """Call the operation that changes `row`."""
        raise PermissionDenied

    def make(self, request: HttpRequest, answers: dict[str, Any]) -> Model:
        """Call the operation that makes a row; returns it."""
        raise PermissionDenied

    def _leads(self, request: HttpRequest, object_id: str | None) -> list[dict[str, str]]:
        row = self.get_object(request, object_id) if object_id and self.leads_to else None
        if row is None:
            return []
        return [
            {"title": title, "url": list_url(model, **{parameter: getattr(row, attribute)})}
            for title, model, parameter, attribute in self.leads_to
        ]

    # --- One trail ----------------------------------------------------------------------------------------------------

    def history_view(
        self, request: HttpRequest, object_id: str, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """What the audit trail has about this row."""
        row = self.get_object(request, object_id)
        if not self.has_view_permission(request):
            raise PermissionDenied
        if row is None:
            raise Http404
        return redirect(list_url("core.auditevent", object_type=self.opts.model_name, object_id=row.pk))

    def log_addition(self, request: HttpRequest, obj: Model, message: Any) -> None:
        """Django's own log would be a second trail, which nothing protects."""

    def log_change(self, request: HttpRequest, obj: Model, message: Any) -> None:
        """See `log_addition`."""

    def log_deletions(self, request: HttpRequest, queryset: QuerySet) -> None:
        """See `log_addition`."""

    def _get_obj_does_not_exist_redirect(
        self, request: HttpRequest, opts: Any, object_id: str
    ) -> HttpResponse:
        """Django would lead to the index as if all were well."""
        raise Http404


def list_url(model: str, /, **parameters: Any) -> str:
    """The address of the list of `model` ("app.model"), filtered."""
    app, _dot, name = model.partition(".")
    return f"{reverse(f'admin:{app}_{name}_changelist')}?{urlencode(parameters)}"


def _refusable(form_class: type[forms.ModelForm], request: HttpRequest) -> type[forms.ModelForm]:
    """`form_class`, not valid once the operation has refused what was typed into it."""

    class Form(form_class):  # type: ignore[misc,valid-type]
        def clean(self) -> Any:
            if refusal := getattr(request, "refusal", ""):
                raise ValidationError(refusal)
            return super().clean()

    return Form
