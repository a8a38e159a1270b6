"""Forms that actions ask with."""

from datetime import date, datetime, time, timedelta
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy
from unfold.widgets import (
    UnfoldAdminCheckboxSelectMultipleWidget,
    UnfoldAdminSelectWidget,
    UnfoldAdminTextareaWidget,
    UnfoldAdminTextInputWidget,
    UnfoldBooleanSwitchWidget,
)

from core.models import User
from core.roles import Domain, Role
from core.status_words import status_word

LONGEST_NOTE = 10_000


def long_text(label: Any, *, required: bool = False, help_text: Any = "") -> forms.CharField:
    """A field of several lines."""
    return forms.CharField(
        label=label,
        required=required,
        max_length=LONGEST_NOTE,
        help_text=help_text,
        widget=UnfoldAdminTextareaWidget({"rows": 3}),
    )


def short_text(label: Any, *, length: int, required: bool = True, help_text: Any = "") -> forms.CharField:
    """A field of one line."""
    return forms.CharField(
        label=label,
        required=required,
        max_length=length,
        help_text=help_text,
        widget=UnfoldAdminTextInputWidget,
    )


def choice(label: Any, options: Any, *, required: bool = True) -> forms.ChoiceField:
    """One of a few."""
    return forms.ChoiceField(label=label, choices=options, required=required, widget=UnfoldAdminSelectWidget)


class ByName(forms.ModelChoiceField):
    """A row named by typing, since a list of all there are has no bound."""

    widget = UnfoldAdminTextInputWidget
    default_error_messages = {"invalid_choice": _("There is nobody and nothing of this name.")}

    def prepare_value(self, value: Any) -> Any:
        return getattr(value, self.to_field_name or "pk", value)

    def to_python(self, value: Any) -> Any:
        if value and "\0" in str(value):
            raise ValidationError(self.error_messages["invalid_choice"], code="invalid_choice")
        return super().to_python(value)


def _role_word(role: Role) -> Any:
    return status_word("role", role).word


class RolesField(forms.MultipleChoiceField):
    """The roles of an account, as a set. A viewer everybody is, so that one is not asked for."""

    widget = UnfoldAdminCheckboxSelectMultipleWidget

    def __init__(self, **kwargs: Any):
        roles = [(role.value, _role_word(role)) for role in Role if role != Role.VIEWER]
        super().__init__(choices=roles, **kwargs)

    def clean(self, value: Any) -> set[Role]:
        return {Role(role) for role in super().clean(value)} | {Role.VIEWER}


class NoteForm(forms.Form):
    note = long_text(pgettext_lazy("form field", "Note"))


class ReasonForm(forms.Form):
    reason = long_text(_("Reason"))


class RequiredReasonForm(forms.Form):
    reason = long_text(_("Reason"), required=True)


class RolesForm(forms.Form):
    roles = RolesField(
        label=_("Roles"), required=False, help_text=_("What is not ticked is taken away. Everybody may look.")
    )


class TokenForm(forms.Form):
    """What a token may do, and until when."""

    name = short_text(_("Name"), length=100, help_text=_("What it is for, such as “nightly training”."))
    read_only = forms.BooleanField(label=_("Read-only"), required=False, widget=UnfoldBooleanSwitchWidget)
    domain = choice(
        _("Limited to"),
        [("", _("Everything")), *((domain.value, domain.value) for domain in Domain)],
        required=False,
    )
    expires_at = forms.DateField(
        label=_("Last day (UTC)"),
        required=False,
        widget=UnfoldAdminTextInputWidget({"type": "date"}),
        help_text=_("Without one it is good until it is revoked."),
    )

    def clean_expires_at(self) -> datetime | None:
        day: date | None = self.cleaned_data["expires_at"]
        if day is None:
            return None
        if day >= date.max:
            raise ValidationError(_("Choose an earlier day."))
        return datetime.combine(day + timedelta(days=1), time.min, tzinfo=timezone.get_default_timezone())


class AccountForm(forms.ModelForm):
    """A new account; with an owner it is a service account."""

    owner = ByName(
        queryset=User.objects.all(),
        to_field_name="username",
        required=False,
        label=_("Owner"),
        help_text=_("For a service account: the username of the person who answers for it."),
    )
    roles = RolesField(label=_("Roles"), required=False, help_text=_("Everybody may look."))

    class Meta:
        model = User
        fields = ["username"]
