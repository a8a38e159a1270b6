"""Experiments: what runs are gathered under."""

import re

from django.conf import settings
from django.db import models
from django.utils.translation import gettext_lazy as _

from core.models.rows import VisibleRows
from lifecycle.states import ExperimentStatus

# MLflow's clients log to this experiment when they are told no other.
DEFAULT_EXPERIMENT = 0


class ExperimentQuerySet(VisibleRows):
    def locked(self, pk: int) -> "Experiment":
        """The experiment as it is now, which nobody else changes or archives until the transaction ends."""
        return self.select_for_update(no_key=True).get(pk=pk)

    def numbered(self, number: str) -> "ExperimentQuerySet":
        """That of an id given as text; none for what is no id."""
        return self.filter(pk=int(number)) if re.fullmatch(r"[0-9]{1,18}", number) else self.none()


class Experiment(models.Model):
    name = models.CharField(_("name"), max_length=500, unique=True)
    description = models.TextField(_("description"), blank=True)
    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.PROTECT,
        related_name="experiments",
        verbose_name=_("owner"),
        null=True,  # the default experiment is nobody's
        blank=True,
    )
    status = models.CharField(
        _("status"), max_length=10, choices=ExperimentStatus, default=ExperimentStatus.ACTIVE, db_index=True
    )
    tags = models.JSONField(_("tags"), default=dict, blank=True)
    metadata = models.JSONField(_("metadata"), default=dict, blank=True)
    created_at = models.DateTimeField(_("created"), auto_now_add=True, db_index=True)
    updated_at = models.DateTimeField(_("updated"), auto_now=True)

    objects = ExperimentQuerySet.as_manager()

    class Meta:
        verbose_name = _("experiment")
        verbose_name_plural = _("experiments")
        ordering = ["-created_at", "-id"]

    def __str__(self) -> str:
        return self.name
