"""What data a run used, as its client tells it."""

from django.db import models
from django.utils.translation import gettext_lazy as _

from lifecycle.models.runs import Run


class DatasetInput(models.Model):
    """One data set that a run read: its name and digest say which, the rest where it came from and what is in it."""

    run = models.ForeignKey(
        Run, on_delete=models.CASCADE, related_name="dataset_inputs", verbose_name=_("run")
    )
    name = models.CharField(_("name"), max_length=500)
    digest = models.CharField(_("digest"), max_length=36)
    source_type = models.TextField(_("kind of source"), blank=True)
    source = models.TextField(_("source"), blank=True)
    schema = models.TextField(_("schema"), blank=True)
    profile = models.TextField(_("profile"), blank=True)
    tags = models.JSONField(_("tags"), default=dict, blank=True)

    class Meta:
        verbose_name = _("data set of a run")
        verbose_name_plural = _("data sets of runs")
        ordering = ["id"]
        constraints = [models.UniqueConstraint(fields=["run", "name", "digest"], name="each_dataset_once")]
        indexes = [models.Index(fields=["name", "digest"], name="datasets_by_name")]

    def __str__(self) -> str:
        return f"{self.name} ({self.digest})"
