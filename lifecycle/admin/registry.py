"""Registered models, their aliases, and whose files may run code."""

from typing import Any

from django.contrib import admin
from django.db.models import Model, Q
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _
from unfold.decorators import display

from core.admin import filters
from core.admin.actions import RowAction, actor_of, calling
from core.admin.base import PlatformAdmin
from core.admin.columns import person, structured
from core.models import User
from core.roles import Domain, Right
from lifecycle.admin.forms import CodeAllowanceForm
from lifecycle.models import CodeAllowance, ModelAlias, RegisteredModel
from lifecycle.operations.aliases import delete_alias
from lifecycle.operations.code_allowances import allow_code, revoke_code

# Names of deleted models are free, so that a name may be several models'.
BY_MODEL_ROW = filters.number("model_row", _("Number of the model's row"), lookup="model_id")


@admin.register(RegisteredModel)
class RegisteredModelAdmin(PlatformAdmin):
    domain = Domain.LIFECYCLE
    related = ("created_by",)
    list_display = (
        "name",
        "last_version",
        person("created_by", _("created by")),
        "created_at",
        "updated_at",
        "deleted_at",
    )
    search_fields = ("name", "description")
    search_help_text = _("Name or description")
    list_filter = (
        filters.KEPT,
        filters.dates("created_at", _("Created")),
    )
    facts = (
        "name",
        "description",
        structured("tags", _("tags")),
        "last_version",
        person("created_by", _("created by")),
        "created_at",
        "updated_at",
        "deleted_at",
    )
    leads_to = (
        (_("Model versions"), "lifecycle.modelversion", "model_row", "pk"),
        (_("Aliases"), "lifecycle.modelalias", "model_row", "pk"),
        (_("Deployments"), "lifecycle.deployment", "model_row", "pk"),
    )


def remove_alias(actor: User, alias: ModelAlias) -> None:
    delete_alias(actor=actor, model=alias.model, alias=alias.alias)


@admin.register(ModelAlias)
class ModelAliasAdmin(PlatformAdmin):
    domain = Domain.LIFECYCLE
    related = ("model", "version__model")
    list_display = facts = ("alias", "model", "version")
    search_fields = ("alias", "model__name")
    search_help_text = _("Alias or model")
    ordering = ("-id",)
    list_filter = (filters.text("model", _("Model"), lookup="model__name"), BY_MODEL_ROW)
    row_actions = (
        RowAction(
            "remove",
            _("Remove"),
            [Right.AUTHOR],
            remove_alias,
            icon="link_off",
            warning=_("Whoever asks for the model by this alias finds nothing. The version stays."),
        ),
    )


@admin.register(CodeAllowance)
class CodeAllowanceAdmin(PlatformAdmin):
    domain = Domain.LIFECYCLE
    right_to_add = Right.ADMINISTER
    add_form = CodeAllowanceForm
    related = ("model", "uploader", "allowed_by")
    list_display = (
        "subject",
        person("allowed_by", _("allowed by")),
        "created_at",
        "revoked_at",
    )
    search_fields = ("model__name", "uploader__username", "reason")
    search_help_text = _("Model, uploader or reason")
    ordering = ("-id",)
    list_filter = (
        filters.conditions(
            "state",
            _("State"),
            [
                ("in_force", _("In force"), Q(revoked_at=None)),
                ("revoked", _("Revoked"), Q(revoked_at__isnull=False)),
            ],
        ),
    )
    facts = (
        "model",
        person("uploader", _("uploader")),
        "reason",
        person("allowed_by", _("allowed by")),
        "created_at",
        "revoked_at",
    )
    row_actions = (
        RowAction(
            "revoke",
            _("Revoke"),
            [Right.ADMINISTER],
            calling(revoke_code, "allowance"),
            icon="block",
            warning=_("Nothing loads by it from now on. What serves goes on."),
        ),
    )

    @display(description=_("model or uploader"))
    def subject(self, allowance: CodeAllowance) -> str:
        return str(allowance.model or allowance.uploader)

    def make(self, request: HttpRequest, answers: dict[str, Any]) -> Model:
        return allow_code(actor=actor_of(request), **answers)
