"""Actions on the rows of a list: each calls one operation a row, asks first, and tells what became of every row."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

from django import forms
from django.contrib import messages
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.contrib.admin.options import IS_POPUP_VAR
from django.contrib.admin.utils import quote
from django.core.exceptions import PermissionDenied, ValidationError
from django.db import transaction
from django.db.models import Model, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse
from unfold.admin import ModelAdmin

from core.errors import DomainError
from core.models import User
from core.roles import Domain, Right, may
from core.translation import gettext as _

MOST_ROWS = 100


@dataclass(frozen=True)
class RowAction:
    """One use case offered for the rows of a list.

    `run(actor, row, **answers)` calls the operation; `answers` are the fields of `form_class`. One of `rights` is
    needed to be offered it: the operation asks for itself again. `seen` names an attribute of the row that `run` is
    given as it was when the page asked. `gives_secret` says that `run` returns (label, secret).
    """

    name: str
    label: Any
    rights: Sequence[Right]
    run: Callable[..., Any]
    form_class: type[forms.Form] = forms.Form
    warning: Any = ""
    icon: str = "play_arrow"
    seen: str = ""
    gives_secret: bool = False


def actor_of(request: HttpRequest) -> User:
    """Who is signed in; the admin site lets nobody else reach its views."""
    return cast(User, request.user)


def calling(operation: Callable[..., Any], argument: str) -> Callable[..., Any]:
    """What hands the row to `operation` as its keyword `argument`."""

    def run(actor: User, row: Model, **answers: Any) -> Any:
        return operation(actor=actor, **{argument: row}, **answers)

    return run


@dataclass
class Outcome:
    """What became of the rows: how many it was done to, who refused with which words, and secrets to show once."""

    done: int = 0
    refusals: list[tuple[str, str]] = field(default_factory=list)
    secrets: list[tuple[str, str]] = field(default_factory=list)


class RowActions(ModelAdmin):
    """Offers `row_actions` in the list and above a row's detail. Both lead to a page that asks, and that page acts."""

    row_actions: Sequence[RowAction] = ()
    domain: Domain
    list_disable_select_all = True  # only what was seen can be chosen, a page of rows at most
    change_form_outer_before_template = "admin/row_actions.html"

    def offered(self, request: HttpRequest) -> list[RowAction]:
        """The actions that somebody's roles allow."""
        return [
            action
            for action in self.row_actions
            if any(may(actor_of(request), right, domain=self.domain) for right in action.rights)
        ]

    def get_actions(self, request: HttpRequest) -> dict[str, tuple[Callable[..., Any], str, str]]:
        if IS_POPUP_VAR in request.GET:
            return {}
        return {action.name: (_runner(action), action.name, action.label) for action in self.offered(request)}

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        # Django would show the list as if nothing had been asked.
        if request.method == "POST" and request.POST.get("action") not in ("", *self.get_actions(request)):
            raise PermissionDenied(_("Your roles do not allow this."))
        if not all(map(self._may_be_key, request.POST.getlist(ACTION_CHECKBOX_NAME))):
            messages.error(request, _("What was chosen is no row of this list. Nothing was done."))
            return HttpResponseRedirect(request.get_full_path())
        return super().changelist_view(request, extra_context)

    def _may_be_key(self, value: str) -> bool:
        """Whether the database can be asked for it: Django asks for whatever was sent."""
        try:
            self.opts.pk.clean(value, None)
        except ValidationError:
            return False
        return "\0" not in value

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        offered = self.offered(request) if object_id else []
        return super().changeform_view(
            request, object_id, form_url, {"row_actions": offered} | (extra_context or {})
        )

    def ask_or_act(self, request: HttpRequest, queryset: QuerySet, action: RowAction) -> HttpResponse | None:
        """Show what will be done and ask what is needed for it; once that is answered, do it to each row."""
        chosen = set(request.POST.getlist(ACTION_CHECKBOX_NAME))
        if len(chosen) > MOST_ROWS or request.POST.get("select_across") == "1":
            messages.error(request, _("Choose at most %d rows at a time.") % MOST_ROWS)
            return None
        rows = list(queryset)
        if len(rows) < len(chosen):
            gone = _("%d of the chosen rows are no longer in this list. Nothing was done to them.")
            messages.warning(request, gone % (len(chosen) - len(rows)))
        if not rows:
            return None
        is_answered = "confirmed" in request.POST
        for row in rows:
            row.seen = (
                request.POST.get(f"seen-{row.pk}", "") if is_answered else getattr(row, action.seen, "")
            )
        form = action.form_class(request.POST if is_answered else None)
        if not is_answered or not form.is_valid():
            return self._page(request, "admin/confirm_action.html", action, rows=rows, form=form)
        outcome = _carry_out(action, actor_of(request), rows, form.cleaned_data)
        _tell(request, action, outcome)
        if outcome.secrets:
            return self._page(request, "admin/secret_once.html", action, secrets=outcome.secrets)
        return HttpResponseRedirect(self._back(request, rows))

    def _page(self, request: HttpRequest, template: str, action: RowAction, **context: Any) -> HttpResponse:
        context = {
            **self.admin_site.each_context(request),
            **context,
            "title": action.label,
            "action": action,
            "opts": self.opts,
            "model_admin": self,
            "from_detail": "from_detail" in request.POST,
        }
        return TemplateResponse(request, template, context, headers={"Cache-Control": "no-store"})

    def _back(self, request: HttpRequest, rows: list[Model]) -> str:
        """The row's own page if the action was asked for there, else the list as it was."""
        if "from_detail" in request.POST and len(rows) == 1:
            name = f"admin:{self.opts.app_label}_{self.opts.model_name}_change"
            return reverse(name, args=[quote(rows[0].pk)])
        return request.get_full_path()


def _runner(action: RowAction) -> Callable[..., HttpResponse | None]:
    def run(admin: RowActions, request: HttpRequest, queryset: QuerySet) -> HttpResponse | None:
        return admin.ask_or_act(request, queryset, action)

    return run


def _carry_out(action: RowAction, actor: User, rows: list[Any], answers: dict[str, Any]) -> Outcome:
    """Each row stands or falls alone: a refusal undoes nothing of the others."""
    outcome = Outcome()
    for row in rows:
        try:
            with transaction.atomic():
                seen = {action.seen: row.seen} if action.seen else {}
                result = action.run(actor, row, **seen, **answers)
        except DomainError as error:
            outcome.refusals.append((str(row), error.detail))
        except ValidationError as error:
            outcome.refusals.append((str(row), " ".join(error.messages)))
        else:
            outcome.done += 1
            if action.gives_secret:
                outcome.secrets.append(result)
    return outcome


def _tell(request: HttpRequest, action: RowAction, outcome: Outcome) -> None:
    if outcome.done:
        messages.success(
            request, _("%(action)s: done for %(count)d.") % {"action": action.label, "count": outcome.done}
        )
    for row, reason in outcome.refusals:
        messages.error(request, _("Refused for %(row)s: %(reason)s") % {"row": row, "reason": reason})
