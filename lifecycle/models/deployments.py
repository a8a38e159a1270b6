"""Deployments: the state machine's rows, its timeline and its log."""

from datetime import timedelta
from typing import Any

from django.conf import settings
from django.db import models, transaction
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from core.errors import Conflict
from core.models import User
from core.models.rows import VisibleRows
from core.models.sentences import SentenceField
from core.operations import audit
from core.roles import Domain
from core.translation import gettext
from lifecycle.models.registry import ModelVersion, RegisteredModel
from lifecycle.states import DEPLOYMENT_MOVES, IN_PROGRESS, DeploymentStatus, Environment, Health


class DeploymentQuerySet(VisibleRows):
    def with_origin(self) -> "DeploymentQuerySet":
        """With what lists say of each: the model, where its version was made, and who deployed it."""
        return self.select_related(
            "model", "model_version__run__experiment", "model_version__logged_model__experiment", "created_by"
        )

    def in_progress(self) -> "DeploymentQuerySet":
        return self.filter(status__in=IN_PROGRESS)

    def served(self) -> "DeploymentQuerySet":
        """Those that took traffic at some time."""
        return self.filter(deployed_at__isnull=False)

    def claimable(self) -> "DeploymentQuerySet":
        """In progress, driven by us, and nobody works on them now."""
        free = Q(lease_expires_at=None) | Q(lease_expires_at__lt=timezone.now())
        return self.in_progress().filter(free, is_external=False)


class Deployment(models.Model):
    """One attempt to serve a model version in an environment.

    Whoever carries it forward holds its lease: `fence` rises with every claim, and a writer whose fence is no longer
    the row's has lost its claim and can change nothing (Kleppmann, "How to do distributed locking", 2016).
    """

    model = models.ForeignKey(
        RegisteredModel, on_delete=models.PROTECT, related_name="deployments", verbose_name=_("model")
    )
    model_version = models.ForeignKey(
        ModelVersion, on_delete=models.PROTECT, related_name="deployments", verbose_name=_("model version")
    )
    content_sha256 = models.CharField(_("content hash"), max_length=64, blank=True, editable=False)
    environment = models.CharField(_("environment"), max_length=12, choices=Environment)
    status = models.CharField(
        _("status"), max_length=10, choices=DeploymentStatus, default=DeploymentStatus.PENDING, db_index=True
    )
    endpoint_config = models.JSONField(_("endpoint configuration"), default=dict)
    is_external = models.BooleanField(_("served elsewhere"), default=False)
    external_endpoint = models.CharField(_("endpoint elsewhere"), max_length=500, blank=True)
    external_metrics = models.JSONField(_("pushed metrics"), default=dict)
    health_status = models.CharField(_("health"), max_length=10, choices=Health, default=Health.UNKNOWN)
    deployment_notes = models.TextField(_("notes"), blank=True)
    error_message = SentenceField(_("error"), blank=True, default=str)
    rollback_from = models.ForeignKey(
        "self",
        null=True,
        on_delete=models.PROTECT,
        related_name="rolled_back_by",
        verbose_name=_("rolled back from"),
    )
    restores = models.ForeignKey(
        "self", null=True, on_delete=models.PROTECT, related_name="restored_by", verbose_name=_("restores")
    )
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        null=True,
        on_delete=models.PROTECT,
        related_name="+",
        verbose_name=_("created by"),
    )
    request_id = models.CharField(_("request id"), max_length=64, blank=True, editable=False)
    created_at = models.DateTimeField(_("created"), auto_now_add=True)
    updated_at = models.DateTimeField(_("updated"), auto_now=True)
    stage_started_at = models.DateTimeField(_("in this status since"), default=timezone.now)
    deployed_at = models.DateTimeField(_("deployed"), null=True)
    terminated_at = models.DateTimeField(_("ended"), null=True)
    fence = models.PositiveIntegerField(_("fence"), default=0)
    lease_expires_at = models.DateTimeField(_("lease expires"), null=True)

    objects = DeploymentQuerySet.as_manager()

    class Meta:
        verbose_name = _("deployment")
        verbose_name_plural = _("deployments")
        ordering = ["-created_at", "-id"]
        indexes = [models.Index(fields=["model", "environment", "-created_at"], name="deployments_of_place")]
        constraints = [
            models.UniqueConstraint(
                fields=["model", "environment"],
                condition=Q(status=DeploymentStatus.ACTIVE),
                name="one_active_deployment_per_place",
            ),
            models.UniqueConstraint(
                fields=["model", "environment"],
                condition=Q(status__in=sorted(IN_PROGRESS)),
                name="one_deployment_in_progress_per_place",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.model.name} v{self.model_version.version} · {self.environment} · #{self.pk}"

    @property
    def is_in_progress(self) -> bool:
        return self.status in IN_PROGRESS

    def claim(self, *, lease_seconds: float) -> bool:
        """Take the lease, if nobody holds it; on success this instance carries the new fence.

        The fence is the one this claim wrote, never one read afterwards: a process that pauses in between
        would take the next holder's for its own.
        """
        self.refresh_from_db()
        fence, expires = self.fence + 1, timezone.now() + timedelta(seconds=lease_seconds)
        free = Deployment.objects.claimable().filter(pk=self.pk, fence=self.fence)
        if not free.update(fence=fence, lease_expires_at=expires):
            return False
        self.fence, self.lease_expires_at = fence, expires
        return True

    def renew(self, *, lease_seconds: float) -> bool:
        """Extend the lease; False when somebody else has claimed it since."""
        expires = timezone.now() + timedelta(seconds=lease_seconds)
        return bool(Deployment.objects.filter(pk=self.pk, fence=self.fence).update(lease_expires_at=expires))

    def release(self) -> None:
        """Give the lease back, if it is still ours."""
        Deployment.objects.filter(pk=self.pk, fence=self.fence).update(lease_expires_at=None)

    def move_to(self, status: str, *, actor: User | None = None, reason: str = "", **changes: Any) -> None:
        """Change state: the only writer of `status`.

        Writes the timeline and the audit row in the same transaction, and gives the lease back. Raises Conflict when
        the table of moves forbids it, or when the row moved or was claimed by somebody else meanwhile.
        """
        before = self.status
        if status not in DEPLOYMENT_MOVES[before]:
            raise Conflict(
                gettext("A deployment that is “%(before)s” cannot become “%(after)s”.")
                % {"before": before, "after": status}
            )
        now = timezone.now()
        with transaction.atomic():
            moved = Deployment.objects.filter(pk=self.pk, status=before, fence=self.fence).update(
                status=status, stage_started_at=now, updated_at=now, lease_expires_at=None, **changes
            )
            if not moved:
                raise Conflict(gettext("The deployment changed meanwhile. Look at it again."))
            self.events.create(before=before, after=status, actor=actor, reason=reason, at=now)
            audit.record(
                actor=actor,
                action=f"deployment.{status}",
                target=self,
                domain=Domain.LIFECYCLE,
                changes={"status": [before, status]},
                reason=reason,
            )
        self.refresh_from_db()

    def log(self, message: str, *, level: str = "info") -> None:
        """Append a line to the deployment's log."""
        self.log_lines.create(message=message, level=level, at=timezone.now())


class DeploymentEvent(models.Model):
    """One change of a deployment's state: the timeline people read."""

    deployment = models.ForeignKey(
        Deployment, on_delete=models.CASCADE, related_name="events", verbose_name=_("deployment")
    )
    at = models.DateTimeField(_("time"))
    before = models.CharField(_("before"), max_length=10, blank=True)
    after = models.CharField(_("after"), max_length=10)
    actor = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        null=True,
        on_delete=models.PROTECT,
        related_name="+",
        verbose_name=_("actor"),
    )
    reason = SentenceField(_("reason"), blank=True, default=str)

    class Meta:
        verbose_name = _("deployment event")
        verbose_name_plural = _("deployment events")
        ordering = ["id"]

    def __str__(self) -> str:
        return f"{self.before} → {self.after}"


class DeploymentLogLine(models.Model):
    """One line of a deployment's log; readers continue after its id."""

    deployment = models.ForeignKey(
        Deployment, on_delete=models.CASCADE, related_name="log_lines", verbose_name=_("deployment")
    )
    at = models.DateTimeField(_("time"))
    level = models.CharField(_("level"), max_length=10, default="info")
    message = SentenceField(_("message"))

    class Meta:
        verbose_name = _("deployment log line")
        verbose_name_plural = _("deployment log lines")
        ordering = ["id"]

    def __str__(self) -> str:
        return self.message[:80]
