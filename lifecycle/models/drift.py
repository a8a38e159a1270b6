"""Drift: a statistic of a served version left its bounds."""

from django.conf import settings
from django.db import models
from django.utils.translation import gettext_lazy as _

from core.models.alerts import Severity
from core.models.rows import VisibleRows
from lifecycle.models.registry import ModelVersion


class DriftEvent(models.Model):
    model_version = models.ForeignKey(
        ModelVersion, on_delete=models.PROTECT, related_name="drift_events", verbose_name=_("model version")
    )
    detected_at = models.DateTimeField(_("detected"), db_index=True)
    severity = models.CharField(_("severity"), max_length=10, choices=Severity)
    metric_name = models.CharField(_("metric"), max_length=250)
    metric_value = models.FloatField(_("value"))
    threshold = models.FloatField(_("threshold"))
    message = models.TextField(_("message"), blank=True)
    remediation_action = models.TextField(_("remediation"), blank=True)
    recorded_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        null=True,
        on_delete=models.PROTECT,
        related_name="+",
        verbose_name=_("recorded by"),
    )
    acknowledged_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        null=True,
        on_delete=models.PROTECT,
        related_name="+",
        verbose_name=_("acknowledged by"),
    )
    acknowledged_at = models.DateTimeField(_("acknowledged"), null=True)

    objects = VisibleRows.as_manager()

    class Meta:
        verbose_name = _("drift event")
        verbose_name_plural = _("drift events")
        ordering = ["-detected_at", "-id"]

    def __str__(self) -> str:
        return f"{self.metric_name} of {self.model_version}"
