"""Forms that the lifecycle's admin asks with."""

from typing import Any

from django import forms
from django.conf import settings
from django.core.exceptions import ValidationError
from django.forms.fields import InvalidJSONInput
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from core.admin.forms import ByName, choice, long_text, short_text
from core.models import User
from core.sentences import storable
from lifecycle.models import CodeAllowance, Experiment, ModelVersion, RegisteredModel
from lifecycle.states import ChecklistStatus, Environment, Stage


class StorableJSON(forms.JSONField):
    """JSON of which a database keeps everything, and an audit row's hash can be made."""

    def to_python(self, value: Any) -> Any:
        found = super().to_python(value)
        if storable(found) != found:
            raise ValidationError(
                _("It holds a character that cannot be kept: NUL, or half a surrogate pair.")
            )
        return found

    def bound_data(self, data: Any, initial: Any) -> Any:
        """What cannot be kept is shown again as it was typed: read, it could not even be sent."""
        found = super().bound_data(data, initial)
        return found if storable(found) == found else InvalidJSONInput(data)


class TagsField(StorableJSON):
    """Tags: names and texts. What the API takes, and nothing else."""

    default_error_messages = {"not_tags": _("Give an object of texts, such as {“team”: “risk”}.")}

    def clean(self, value: Any) -> dict[str, str]:
        tags = super().clean(value) or {}
        if not isinstance(tags, dict) or not all(isinstance(text, str) for text in tags.values()):
            raise ValidationError(self.error_messages["not_tags"], code="not_tags")
        return tags


class WithJSON(forms.ModelForm):
    """A form in which what is JSON is checked; the widgets stay the admin's."""

    def __init__(self, *args: Any, **kwargs: Any):
        super().__init__(*args, **kwargs)
        for name, kind in {"tags": TagsField, "metadata": StorableJSON}.items():
            if name in self.fields:
                given = self.fields[name]
                self.fields[name] = kind(label=given.label, required=False, widget=given.widget)


class ExperimentForm(WithJSON):
    class Meta:
        model = Experiment
        fields = ["name", "description", "tags", "metadata"]

    def clean_metadata(self) -> dict[str, Any]:
        metadata = self.cleaned_data["metadata"] or {}
        if not isinstance(metadata, dict):
            raise ValidationError(_("Give an object."))
        return metadata


class VersionForm(WithJSON):
    class Meta:
        model = ModelVersion
        fields = ["version_label", "description", "tags", "rollback_notes"]


class CodeAllowanceForm(forms.ModelForm):
    """Either a model or an uploader, by name."""

    model = ByName(
        queryset=RegisteredModel.objects.kept(),
        to_field_name="name",
        required=False,
        label=_("Model"),
        help_text=_("Its name. Give either a model or an uploader."),
    )
    uploader = ByName(
        queryset=User.objects.all(),
        to_field_name="username",
        required=False,
        label=_("Uploader"),
        help_text=_("Their username."),
    )
    reason = long_text(_("Reason"), required=True)

    class Meta:
        model = CodeAllowance
        fields = ["model", "uploader", "reason"]


class ApproveForm(forms.Form):
    approval_notes = long_text(pgettext_lazy("form field", "Note"))


class StageForm(forms.Form):
    stage = choice(_("Stage"), Stage.choices)
    reason = long_text(_("Reason"))


class DeployForm(forms.Form):
    environment = choice(_("Environment"), Environment.choices)
    instance_type = choice(
        _("Instance type"),
        lambda: [("", _("As the settings have it")), *((name, name) for name in settings.INSTANCE_TYPES)],
        required=False,
    )
    deployment_notes = long_text(_("Notes"))


class AliasForm(forms.Form):
    alias = short_text(
        _("Alias"), length=255, help_text=_("Such as “champion”. It moves here from another version.")
    )


class TickForm(forms.Form):
    status = choice(_("Status"), ChecklistStatus.choices)
    note = forms.CharField(
        label=pgettext_lazy("form field", "Note"),
        required=False,
        max_length=10_000,
        empty_value=None,
        help_text=_("Left empty, the note stays as it is."),
        widget=long_text("").widget,
    )
