"""What people say of model versions: the checklist, and whose files may run code."""

from typing import Any

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from lifecycle.models.registry import ModelVersion, RegisteredModel
from lifecycle.states import ChecklistStatus


class ChecklistItem(models.Model):
    model_version = models.ForeignKey(
        ModelVersion, on_delete=models.CASCADE, related_name="checklist", verbose_name=_("model version")
    )
    name = models.CharField(_("name"), max_length=250)
    status = models.CharField(
        _("status"), max_length=10, choices=ChecklistStatus, default=ChecklistStatus.PENDING
    )
    note = models.TextField(_("note"), blank=True)
    completed_at = models.DateTimeField(_("completed"), null=True)
    completed_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        null=True,
        on_delete=models.PROTECT,
        related_name="+",
        verbose_name=_("completed by"),
    )

    class Meta:
        verbose_name = _("checklist item")
        verbose_name_plural = _("checklist items")
        ordering = ["id"]
        constraints = [
            models.UniqueConstraint(fields=["model_version", "name"], name="one_checklist_item_per_name")
        ]

    def __str__(self) -> str:
        return self.name


class CodeAllowanceQuerySet(models.QuerySet):
    def in_force(self) -> "CodeAllowanceQuerySet":
        """Those not revoked."""
        return self.filter(revoked_at=None)


class CodeAllowance(models.Model):
    """An admin's word that one model's or uploader's files may run code when they load, as pickle does."""

    model = models.ForeignKey(
        RegisteredModel,
        null=True,
        on_delete=models.CASCADE,
        related_name="code_allowances",
        verbose_name=_("model"),
    )
    uploader = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        null=True,
        on_delete=models.CASCADE,
        related_name="+",
        verbose_name=_("uploader"),
    )
    allowed_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        null=True,
        on_delete=models.PROTECT,
        related_name="+",
        verbose_name=_("allowed by"),
    )
    reason = models.TextField(_("reason"))
    created_at = models.DateTimeField(_("created"), auto_now_add=True)
    revoked_at = models.DateTimeField(_("revoked"), null=True)

    objects = CodeAllowanceQuerySet.as_manager()

    class Meta:
        verbose_name = _("code allowance")
        verbose_name_plural = _("code allowances")
        constraints = [
            models.CheckConstraint(
                condition=Q(model__isnull=False, uploader__isnull=True)
                | Q(model__isnull=True, uploader__isnull=False),
                name="allowance_of_one_model_or_one_uploader",
            )
        ]

    def __str__(self) -> str:
        subject: Any = self.model or self.uploader
        return f"code allowed for {subject}"
