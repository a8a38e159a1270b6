"""Prompts: a name, the versions under it, and aliases that point at versions."""

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from core.errors import NotFound
from core.lookups import one_or_none
from core.models.rows import KeptRows
from core.translation import gettext


class PromptQuerySet(KeptRows):
    def locked(self, pk: int) -> "Prompt":
        """The prompt as it is now, which nobody else changes until the transaction ends. Whatever writes to a version
        or an alias of it locks it first. Raises NotFound once it is deleted.
        """
        prompt = one_or_none(self.kept().select_for_update(no_key=True).filter(pk=pk))
        if prompt is None:
            raise NotFound(gettext("The prompt was deleted meanwhile."))
        return prompt


class Prompt(models.Model):
    """A name, and the versions under it. One that is deleted leaves its name to another."""

    name = models.CharField(_("name"), max_length=250)
    description = models.TextField(_("description"), blank=True)
    tags = models.JSONField(_("tags"), default=dict, blank=True)
    last_version = models.PositiveIntegerField(_("last version"), default=0, editable=False)
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+", verbose_name=_("created by")
    )
    created_at = models.DateTimeField(_("created"), auto_now_add=True)
    updated_at = models.DateTimeField(_("updated"), auto_now=True)
    deleted_at = models.DateTimeField(_("deleted"), null=True, blank=True)

    objects = PromptQuerySet.as_manager()

    class Meta:
        verbose_name = _("prompt")
        verbose_name_plural = _("prompts")
        ordering = ["name"]
        constraints = [
            models.UniqueConstraint(fields=["name"], condition=Q(deleted_at=None), name="one_prompt_per_name")
        ]

    def __str__(self) -> str:
        return self.name


class PromptVersion(models.Model):
    """A text under a number. The text never changes: what was asked with it must stay what is told of it."""

    prompt = models.ForeignKey(
        Prompt, on_delete=models.PROTECT, related_name="versions", verbose_name=_("prompt")
    )
    version = models.PositiveIntegerField(_("version"))
    content = models.TextField(_("content"), help_text=_("A text, or in JSON the messages of a chat"))
    description = models.TextField(_("description"), blank=True)
    tags = models.JSONField(_("tags"), default=dict, blank=True)
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+", verbose_name=_("created by")
    )
    created_at = models.DateTimeField(_("created"), auto_now_add=True)
    updated_at = models.DateTimeField(_("updated"), auto_now=True)
    deleted_at = models.DateTimeField(_("deleted"), null=True, blank=True)

    objects = KeptRows.as_manager()

    class Meta:
        verbose_name = _("prompt version")
        verbose_name_plural = _("prompt versions")
        ordering = ["-created_at", "-id"]
        constraints = [
            models.UniqueConstraint(fields=["prompt", "version"], name="one_version_per_prompt_and_number")
        ]

    def __str__(self) -> str:
        return f"{self.prompt.name} v{self.version}"


class PromptAlias(models.Model):
    """A name such as “production” that points at one version of a prompt and can be moved."""

    prompt = models.ForeignKey(
        Prompt, on_delete=models.CASCADE, related_name="aliases", verbose_name=_("prompt")
    )
    alias = models.CharField(_("alias"), max_length=255)
    version = models.ForeignKey(
        PromptVersion, on_delete=models.CASCADE, related_name="aliases", verbose_name=_("version")
    )

    class Meta:
        verbose_name = _("prompt alias")
        verbose_name_plural = _("prompt aliases")
        ordering = ["id"]
        constraints = [
            models.UniqueConstraint(fields=["prompt", "alias"], name="one_version_per_prompt_and_alias")
        ]

    def __str__(self) -> str:
        return f"{self.prompt.name}@{self.alias}"
