"""Runs and what is logged to them.

Parameters, tags and latest metric values have a narrow table each, so that lists filter and sort by them in
the database; the full history of a metric is another.
"""

import uuid
from datetime import datetime
from typing import TYPE_CHECKING

from django.conf import settings
from django.db import models, transaction
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from core.errors import Conflict, Invalid
from core.milliseconds import moment_of
from core.models import User
from core.models.rows import KeptRows
from core.operations import audit
from core.roles import Domain
from core.translation import gettext
from lifecycle.models.experiments import Experiment
from lifecycle.states import FINISHED_RUNS, RUN_MOVES, RunStatus

if TYPE_CHECKING:
    from lifecycle.models.registry import ModelVersion


def new_run_id() -> str:
    """32 hexadecimal digits, as MLflow's run ids are."""
    return uuid.uuid4().hex


class RunQuerySet(KeptRows):
    def locked(self, pk: int) -> "Run":
        """The run as it is now, which nobody else changes until the transaction ends. Whatever writes to a run, or
        beside it, locks it first, so that no two wait for each other.
        """
        related = self.select_related("experiment", "created_by")
        return related.select_for_update(of=("self",), no_key=True).get(pk=pk)

    def lock(self, pk: int) -> None:
        """As `locked`, for who needs to read nothing of the run."""
        self.select_for_update(no_key=True).values_list("pk").get(pk=pk)

    def latest_completed(self) -> "RunQuerySet":
        """Of each experiment the run that completed last."""
        newest = (
            Run.objects.kept()
            .filter(experiment=models.OuterRef("pk"), status=RunStatus.COMPLETED)
            .order_by("-completed_at", "-pk")
            .values("pk")[:1]
        )
        return self.filter(
            pk__in=Experiment.objects.annotate(newest=models.Subquery(newest)).values("newest")
        )


class Run(models.Model):
    run_id = models.CharField(_("run id"), max_length=32, unique=True, default=new_run_id)
    experiment = models.ForeignKey(
        Experiment, on_delete=models.PROTECT, related_name="runs", verbose_name=_("experiment")
    )
    name = models.CharField(_("name"), max_length=500, blank=True)
    status = models.CharField(_("status"), max_length=10, choices=RunStatus, default=RunStatus.RUNNING)
    started_at = models.DateTimeField(_("started"), null=True, blank=True)
    completed_at = models.DateTimeField(_("completed"), null=True, blank=True)
    dataset_name = models.CharField(_("dataset"), max_length=500, blank=True)
    dataset_version = models.CharField(_("dataset version"), max_length=100, blank=True)
    notes = models.TextField(_("notes"), blank=True)
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="runs", verbose_name=_("created by")
    )
    mlflow_user = models.CharField(
        _("user told by MLflow"),
        max_length=256,
        blank=True,
        help_text=_(
            "Who MLflow's client says runs it: a name on the client's machine, and no proof of anything"
        ),
    )
    created_at = models.DateTimeField(_("created"), auto_now_add=True)
    updated_at = models.DateTimeField(_("updated"), auto_now=True)
    deleted_at = models.DateTimeField(_("deleted"), null=True, blank=True)

    objects = RunQuerySet.as_manager()

    class Meta:
        verbose_name = _("run")
        verbose_name_plural = _("runs")
        ordering = ["-created_at", "-id"]
        indexes = [
            models.Index(fields=["experiment", "deleted_at", "-created_at"], name="runs_of_experiment"),
            models.Index(fields=["status", "-created_at"], name="runs_by_status"),
            models.Index(fields=["experiment", "status", "-completed_at"], name="runs_by_completion"),
            models.Index(fields=["-created_at"], name="runs_newest_first"),
            models.Index(fields=["experiment", "-started_at", "run_id"], name="runs_by_start"),
        ]

    def __str__(self) -> str:
        return self.name or self.run_id

    @property
    def storage_folder(self) -> str:
        """Where the artifact store keeps its files."""
        return self.run_id

    @property
    def versions_of_files(self) -> "models.QuerySet[ModelVersion]":
        """The registered versions that are made of its files, and not of a model that it logged."""
        return self.model_versions.filter(logged_model=None, deleted_at=None)

    @property
    def duration_seconds(self) -> float | None:
        """From start to end, or to now while it runs; None before it started."""
        if self.started_at is None:
            return None
        return ((self.completed_at or timezone.now()) - self.started_at).total_seconds()

    def move_to(self, status: str, *, actor: User | None = None, at: datetime | None = None) -> None:
        """Change state: the only writer of `status` after creation. Finishing sets `completed_at`, to `at` or
        to now.

        Raises Conflict when the table of moves forbids it or the run moved meanwhile, Invalid when it would
        complete before it started.
        """
        before = self.status
        if status not in RUN_MOVES[before]:
            raise Conflict(
                gettext("A run that is “%(before)s” cannot become “%(after)s”.")
                % {"before": before, "after": status}
            )
        completed_at = (at or timezone.now()) if status in FINISHED_RUNS else None
        started_at = self.started_at or (timezone.now() if status == RunStatus.RUNNING else None)
        refuse_completion_before_start(started_at, completed_at)
        with transaction.atomic():
            moved = Run.objects.filter(pk=self.pk, status=before).update(
                status=status, started_at=started_at, completed_at=completed_at, updated_at=timezone.now()
            )
            if not moved:
                raise Conflict(gettext("The run changed meanwhile. Look at it again."))
            audit.record(
                actor=actor,
                action=f"run.{status}",
                target=self,
                domain=Domain.LIFECYCLE,
                changes={"status": [before, status]},
            )
        self.status, self.started_at, self.completed_at = status, started_at, completed_at


def refuse_completion_before_start(started_at: datetime | None, completed_at: datetime | None) -> None:
    """Raise Invalid unless the two times are in order; either may be unknown."""
    if started_at and completed_at and completed_at < started_at:
        raise Invalid(
            gettext("The run would complete before it started."),
            fields={"completed_at": gettext("Give a later time.")},
        )


class RunParameter(models.Model):
    """A parameter's value never changes once logged."""

    run = models.ForeignKey(Run, on_delete=models.CASCADE, related_name="parameters", verbose_name=_("run"))
    name = models.CharField(_("name"), max_length=250)
    value = models.CharField(_("value"), max_length=6000)

    class Meta:
        verbose_name = _("parameter")
        verbose_name_plural = _("parameters")
        ordering = ["name"]
        constraints = [models.UniqueConstraint(fields=["run", "name"], name="one_value_per_parameter")]
        indexes = [models.Index(fields=["name", "run"], name="parameters_by_name")]

    def __str__(self) -> str:
        return f"{self.name}={self.value}"


class RunTag(models.Model):
    run = models.ForeignKey(Run, on_delete=models.CASCADE, related_name="tag_rows", verbose_name=_("run"))
    name = models.CharField(_("name"), max_length=250)
    value = models.TextField(_("value"), blank=True)

    class Meta:
        verbose_name = _("run tag")
        verbose_name_plural = _("run tags")
        ordering = ["name"]
        constraints = [models.UniqueConstraint(fields=["run", "name"], name="one_value_per_tag")]
        indexes = [models.Index(fields=["name", "run"], name="tags_by_name")]

    def __str__(self) -> str:
        return f"{self.name}={self.value}"


class Measurement(models.Model):
    """A metric's value. NaN, which databases treat differently, is `is_nan` with value 0."""

    name = models.CharField(_("name"), max_length=250)
    dataset = models.CharField(_("data set"), max_length=250, blank=True)
    value = models.FloatField(_("value"))
    is_nan = models.BooleanField(_("not a number"), default=False)
    step = models.BigIntegerField(_("step"), default=0)
    timestamp = models.BigIntegerField(_("time"), help_text=_("Milliseconds since 1970, UTC"))

    class Meta:
        abstract = True

    def __str__(self) -> str:
        return f"{self.name}={self.number} at step {self.step}"

    @property
    def number(self) -> float:
        return float("nan") if self.is_nan else self.value

    @property
    def logged_at(self) -> datetime:
        return moment_of(self.timestamp)


class RunMetric(Measurement):
    """The latest value of a metric: of the highest step, then time, then value, as in MLflow; NaN counts as 0."""

    run = models.ForeignKey(Run, on_delete=models.CASCADE, related_name="metrics", verbose_name=_("run"))

    class Meta:
        verbose_name = _("metric")
        verbose_name_plural = _("metrics")
        ordering = ["name", "dataset"]
        constraints = [
            models.UniqueConstraint(fields=["run", "name", "dataset"], name="one_latest_value_per_metric")
        ]
        indexes = [models.Index(fields=["name", "value"], name="metrics_by_value")]


class MetricPoint(Measurement):
    """One point of a metric's history. What is logged again is the same point, as in MLflow."""

    run = models.ForeignKey(Run, on_delete=models.CASCADE, related_name="points", verbose_name=_("run"))

    class Meta:
        verbose_name = _("metric point")
        verbose_name_plural = _("metric points")
        constraints = [
            models.UniqueConstraint(
                fields=["run", "name", "dataset", "step", "timestamp", "value", "is_nan"],
                name="each_point_once",
            )
        ]


class RunLogLine(models.Model):
    """One line of a run's log; its id orders the lines and is what a reader asks to continue after."""

    run = models.ForeignKey(Run, on_delete=models.CASCADE, related_name="log_lines", verbose_name=_("run"))
    at = models.DateTimeField(_("time"))
    level = models.CharField(_("level"), max_length=10, default="info")
    message = models.TextField(_("message"))

    class Meta:
        verbose_name = _("run log line")
        verbose_name_plural = _("run log lines")
        ordering = ["id"]

    def __str__(self) -> str:
        return self.message[:80]
