"""The model registry: registered models, their versions, aliases, checklists."""

from collections.abc import Iterable
from typing import Any

from django.conf import settings
from django.db import models
from django.db.models import Case, Exists, OuterRef, Q, Value, When
from django.utils.translation import gettext_lazy as _

from core.models import User
from lifecycle.models.artifacts import Artifact
from lifecycle.models.runs import Run
from lifecycle.states import ChecklistStatus, DeploymentStatus, Stage, VersionStatus


class RegisteredModel(models.Model):
    name = models.CharField(_("name"), max_length=250, unique=True)
    description = models.TextField(_("description"), blank=True)
    tags = models.JSONField(_("tags"), default=dict, blank=True)
    last_version = models.PositiveIntegerField(_("last version"), default=0, editable=False)
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+", verbose_name=_("created by")
    )
    created_at = models.DateTimeField(_("created"), auto_now_add=True)
    updated_at = models.DateTimeField(_("updated"), auto_now=True)

    class Meta:
        verbose_name = _("registered model")
        verbose_name_plural = _("registered models")
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name


class ModelVersionQuerySet(models.QuerySet):
    def visible_to(self, user: User) -> "ModelVersionQuerySet":
        """Those `user` may see: all of them, until projects restrict it."""
        return self

    def awaiting_approval(self) -> "ModelVersionQuerySet":
        """Those whose checklist is complete and that nobody has decided about yet."""
        items = self.model._meta.get_field("checklist").related_model.objects.filter(
            model_version=OuterRef("pk")
        )
        return (
            self.exclude(stage=Stage.ARCHIVED)
            .filter(Exists(items), approved_at=None, rejected_at=None)
            .exclude(Exists(items.exclude(status=ChecklistStatus.APPROVED)))
        )

    def locked(self, pk: int) -> "ModelVersion":
        """The version as it is now; whoever else decides about it waits until this transaction ends."""
        related = self.select_related("model", "run__created_by", "created_by")
        return related.select_for_update(of=("self",)).get(pk=pk)

    def not_by(self, accounts: Iterable[int]) -> "ModelVersionQuerySet":
        """Those that none of `accounts` had a hand in (see `authors`)."""
        uploads = Artifact.objects.filter(run=OuterRef("run"), uploaded_by__in=accounts)
        return self.exclude(Q(created_by__in=accounts) | Q(run__created_by__in=accounts) | Exists(uploads))

    def with_status(self) -> "ModelVersionQuerySet":
        """Adds `status`, which is derived: archived, deployed, registered (approved) or draft."""
        active = self.model._meta.get_field("deployments").related_model.objects.filter(
            model_version=OuterRef("pk"), status=DeploymentStatus.ACTIVE
        )
        return self.annotate(
            status=Case(
                When(stage=Stage.ARCHIVED, then=Value(VersionStatus.ARCHIVED.value)),
                When(Exists(active), then=Value(VersionStatus.DEPLOYED.value)),
                When(approved_at__isnull=False, then=Value(VersionStatus.REGISTERED.value)),
                default=Value(VersionStatus.DRAFT.value),
                output_field=models.CharField(),
            )
        )


class ModelVersion(models.Model):
    """One version of a registered model: the files of a run under `artifact_path`, as they were when
    registered.

    `content_sha256` is the hash over all files' paths and hashes; an approval is of exactly that content
    (`approved_sha256`), and a change of the files voids it.
    """

    model = models.ForeignKey(
        RegisteredModel, on_delete=models.PROTECT, related_name="versions", verbose_name=_("model")
    )
    version = models.PositiveIntegerField(_("version"))
    version_label = models.CharField(_("label"), max_length=100, blank=True)
    description = models.TextField(_("description"), blank=True)
    run = models.ForeignKey(
        Run, on_delete=models.PROTECT, related_name="model_versions", verbose_name=_("run")
    )
    artifact_path = models.CharField(_("artifact path"), max_length=1000)
    stage = models.CharField(
        _("stage"), max_length=12, choices=Stage, default=Stage.EXPERIMENTAL, db_index=True
    )
    tags = models.JSONField(_("tags"), default=dict, blank=True)
    metrics = models.JSONField(_("metrics"), default=dict)
    framework = models.CharField(_("framework"), max_length=50, blank=True)
    signature = models.JSONField(_("signature"), null=True)
    size_bytes = models.BigIntegerField(_("size"), default=0)
    content_sha256 = models.CharField(_("content hash"), max_length=64)
    files_changed_at = models.DateTimeField(_("files changed"), null=True)  # since it was registered
    approved_sha256 = models.CharField(_("approved content hash"), max_length=64, blank=True)
    approved_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        null=True,
        on_delete=models.PROTECT,
        related_name="+",
        verbose_name=_("approved by"),
    )
    approved_at = models.DateTimeField(_("approved"), null=True)
    approval_notes = models.TextField(_("approval notes"), blank=True)
    rejected_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        null=True,
        on_delete=models.PROTECT,
        related_name="+",
        verbose_name=_("rejected by"),
    )
    rejected_at = models.DateTimeField(_("rejected"), null=True)
    rollback_notes = models.TextField(_("rollback notes"), blank=True)
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+", verbose_name=_("created by")
    )
    created_at = models.DateTimeField(_("created"), auto_now_add=True, db_index=True)
    updated_at = models.DateTimeField(_("updated"), auto_now=True)

    objects = ModelVersionQuerySet.as_manager()

    class Meta:
        verbose_name = _("model version")
        verbose_name_plural = _("model versions")
        ordering = ["-created_at", "-id"]
        constraints = [
            models.UniqueConstraint(fields=["model", "version"], name="one_version_per_number"),
            models.UniqueConstraint(
                fields=["model", "version_label"],
                condition=~Q(version_label=""),
                name="one_version_per_label",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.model.name} v{self.version}"

    @property
    def is_approved(self) -> bool:
        """Approved, and the files are still those that were approved."""
        return self.approved_at is not None and self.approved_sha256 == self.content_sha256

    @property
    def authors(self) -> set[User]:
        """The people behind the version: who registered it, who ran what made it, who uploaded files."""
        uploads = Artifact.objects.filter(run=self.run_id).exclude(uploaded_by=None)
        uploaders = User.objects.filter(pk__in=uploads.values("uploaded_by")).select_related("owner")
        return {user.person for user in (self.created_by, self.run.created_by, *uploaders)}


class ModelAlias(models.Model):
    model = models.ForeignKey(
        RegisteredModel, on_delete=models.CASCADE, related_name="aliases", verbose_name=_("model")
    )
    alias = models.CharField(_("alias"), max_length=255)
    version = models.ForeignKey(
        ModelVersion, on_delete=models.CASCADE, related_name="aliases", verbose_name=_("model version")
    )

    class Meta:
        verbose_name = _("alias")
        verbose_name_plural = _("aliases")
        constraints = [models.UniqueConstraint(fields=["model", "alias"], name="one_version_per_alias")]

    def __str__(self) -> str:
        return f"{self.model.name}@{self.alias}"


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
