"""Prompts in the admin: read by everybody, changed by operations."""

from django.contrib import admin
from django.utils.translation import gettext_lazy as _

from core.admin import filters
from core.admin.actions import RowAction
from core.admin.base import PlatformAdmin
from core.admin.columns import person, plain, structured
from core.models import User
from core.roles import Domain, Right
from prompts.models import Prompt, PromptAlias, PromptVersion
from prompts.operations.versions import delete_alias

# Names of deleted prompts are free, so that a name may be several prompts'.
BY_PROMPT_ROW = filters.number("prompt_row", _("Number of the prompt's row"), lookup="prompt_id")


@admin.register(Prompt)
class PromptAdmin(PlatformAdmin):
    domain = Domain.PROMPTS
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
    list_filter = (filters.KEPT, filters.dates("created_at", _("Created")))
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
        (_("Prompt versions"), "prompts.promptversion", "prompt_row", "pk"),
        (_("Prompt aliases"), "prompts.promptalias", "prompt_row", "pk"),
    )


@admin.register(PromptVersion)
class PromptVersionAdmin(PlatformAdmin):
    domain = Domain.PROMPTS
    related = ("prompt", "created_by")
    list_display = ("prompt", "version", person("created_by", _("created by")), "created_at", "deleted_at")
    search_fields = ("prompt__name", "description")
    search_help_text = _("Prompt or description")
    ordering = ("-id",)
    list_filter = (
        filters.text("prompt", _("Prompt"), lookup="prompt__name"),
        BY_PROMPT_ROW,
        filters.KEPT,
        filters.dates("created_at", _("Created")),
    )
    facts = (
        "prompt",
        "version",
        plain("content", _("content")),
        "description",
        structured("tags", _("tags")),
        person("created_by", _("created by")),
        "created_at",
        "updated_at",
        "deleted_at",
    )


def remove_alias(actor: User, alias: PromptAlias) -> None:
    delete_alias(actor=actor, prompt=alias.prompt, alias=alias.alias)


@admin.register(PromptAlias)
class PromptAliasAdmin(PlatformAdmin):
    domain = Domain.PROMPTS
    related = ("prompt", "version__prompt")
    list_display = facts = ("alias", "prompt", "version")
    search_fields = ("alias", "prompt__name")
    search_help_text = _("Alias or prompt")
    ordering = ("-id",)
    list_filter = (filters.text("prompt", _("Prompt"), lookup="prompt__name"), BY_PROMPT_ROW)
    row_actions = (
        RowAction(
            "remove",
            _("Remove"),
            [Right.AUTHOR],
            remove_alias,
            icon="link_off",
            warning=_("Whoever asks for the prompt by this alias finds nothing. The version stays."),
        ),
    )
