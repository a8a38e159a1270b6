"""Models as MLflow's clients log them: files, parameters, tags and metrics of their own, beside the run that wrote
them. A version of a registered model may be made of one.
"""

import uuid
from typing import TYPE_CHECKING

from django.conf import settings
from django.db import models
from django.utils.translation import gettext_lazy as _

from core.models.rows import KeptRows
from lifecycle.models.experiments import Experiment
from lifecycle.models.runs import Measurement, Run
from lifecycle.states import LoggedModelStatus, ModelRole

if TYPE_CHECKING:
    from lifecycle.models.registry import ModelVersion


def new_model_id() -> str:
    """“m-” and 32 hexadecimal digits, as MLflow's are."""
    return f"m-{uuid.uuid4().hex}"


class LoggedModelQuerySet(KeptRows):
    def locked(self, pk: int) -> "LoggedModel":
        """The model as it is now, which nobody else changes until the transaction ends."""
        return self.select_for_update(no_key=True).get(pk=pk)


class LoggedModel(models.Model):
    model_id = models.CharField(_("model id"), max_length=36, unique=True, default=new_model_id)
    experiment = models.ForeignKey(
        Experiment, on_delete=models.PROTECT, related_name="logged_models", verbose_name=_("experiment")
    )
    name = models.CharField(_("name"), max_length=500)
    model_type = models.CharField(_("type"), max_length=500, blank=True)
    source_run = models.ForeignKey(
        Run,
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="logged_models",
        verbose_name=_("source run"),
    )
    status = models.CharField(
        _("status"), max_length=10, choices=LoggedModelStatus, default=LoggedModelStatus.PENDING
    )
    parameters = models.JSONField(_("parameters"), default=dict, blank=True)
    tags = models.JSONField(_("tags"), default=dict, blank=True)
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+", verbose_name=_("created by")
    )
    created_at = models.DateTimeField(_("created"), auto_now_add=True)
    updated_at = models.DateTimeField(_("updated"), auto_now=True)
    deleted_at = models.DateTimeField(_("deleted"), null=True, blank=True)

    objects = LoggedModelQuerySet.as_manager()

    class Meta:
        verbose_name = _("logged model")
        verbose_name_plural = _("logged models")
        ordering = ["-created_at", "-id"]
        indexes = [
            models.Index(fields=["experiment", "-created_at", "model_id"], name="logged_models_newest")
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def storage_folder(self) -> str:
        """Where the artifact store keeps its files."""
        return self.model_id

    @property
    def versions_of_files(self) -> "models.QuerySet[ModelVersion]":
        """The registered versions that are made of its files."""
        return self.model_versions.filter(deleted_at=None)


class LoggedModelMetric(Measurement):
    """A value that a run measured of a logged model. What is logged again is the same one, as in MLflow."""

    logged_model = models.ForeignKey(
        LoggedModel, on_delete=models.CASCADE, related_name="metrics", verbose_name=_("logged model")
    )
    run = models.ForeignKey(
        Run, on_delete=models.CASCADE, related_name="model_metrics", verbose_name=_("run")
    )
    dataset_digest = models.CharField(_("digest of the data set"), max_length=36, blank=True)

    class Meta:
        verbose_name = _("metric of a logged model")
        verbose_name_plural = _("metrics of logged models")
        ordering = ["id"]
        constraints = [
            models.UniqueConstraint(
                fields=[
                    "logged_model", "name", "run", "dataset", "dataset_digest", "step", "timestamp", "value", "is_nan",
                ],
                name="each_model_metric_once",
            )
        ]  # fmt: skip


class RunModel(models.Model):
    """A logged model that a run read or wrote."""

    run = models.ForeignKey(Run, on_delete=models.CASCADE, related_name="run_models", verbose_name=_("run"))
    logged_model = models.ForeignKey(
        LoggedModel, on_delete=models.CASCADE, related_name="run_models", verbose_name=_("logged model")
    )
    role = models.CharField(_("role"), max_length=6, choices=ModelRole)
    step = models.BigIntegerField(_("step"), default=0)

    class Meta:
        verbose_name = _("model of a run")
        verbose_name_plural = _("models of runs")
        ordering = ["id"]
        constraints = [
            models.UniqueConstraint(fields=["run", "role", "logged_model"], name="each_model_of_a_run_once")
        ]

    def __str__(self) -> str:
        return f"{self.get_role_display()}: {self.logged_model}"
