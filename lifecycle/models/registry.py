"""The model registry: registered models, their versions, aliases, checklists."""

from collections.abc import Iterable

from django.conf import settings
from django.db import models
from django.db.models import Case, Exists, OuterRef, Q, Value, When
from django.utils.translation import gettext_lazy as _

from core.errors import NotFound
from core.lookups import one_or_none
from core.models import User
from core.models.rows import KeptRows
from core.translation import gettext
from lifecycle.models.artifacts import Artifact, FileOwner
from lifecycle.models.experiments import Experiment
from lifecycle.models.logged_models import LoggedModel
from lifecycle.models.runs import Run
from lifecycle.states import ChecklistStatus, DeploymentStatus, Stage, VersionStatus


class RegisteredModelQuerySet(KeptRows):
    def locked(self, pk: int) -> "RegisteredModel":
        """The model as it is now, which nobody else changes until the transaction ends. Raises NotFound once it is
        deleted.
        """
        model = one_or_none(self.kept().select_for_update(no_key=True).filter(pk=pk))
        if model is None:
            raise NotFound(gettext("The model was deleted meanwhile."))
        return model


class RegisteredModel(models.Model):
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

    objects = RegisteredModelQuerySet.as_manager()

    class Meta:
        verbose_name = _("registered model")
        verbose_name_plural = _("registered models")
        ordering = ["name"]
        constraints = [
            models.UniqueConstraint(fields=["name"], condition=Q(deleted_at=None), name="one_model_per_name")
        ]

    def __str__(self) -> str:
        return self.name


class ModelVersionQuerySet(KeptRows):
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
        """The version as it is now; whoever else decides about it waits until this transaction ends. Raises NotFound
        once it is deleted.
        """
        related = self.select_related("model", "run__created_by", "logged_model__created_by", "created_by")
        version = one_or_none(related.kept().select_for_update(of=("self",)).filter(pk=pk))
        if version is None:
            raise NotFound(gettext("The model version was deleted meanwhile."))
        return version

    def not_by(self, accounts: Iterable[int]) -> "ModelVersionQuerySet":
        """Those that none of `accounts` had a hand in (see `authors`)."""
        files = Q(run=OuterRef("run")) | Q(logged_model=OuterRef("logged_model"))
        uploads = Artifact.objects.filter(files, uploaded_by__in=accounts)
        return self.exclude(
            Q(created_by__in=accounts)
            | Q(run__created_by__in=accounts)
            | Q(logged_model__created_by__in=accounts)
            | Exists(uploads)
        )

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
    """One version of a registered model: the files of a run under `artifact_path`, or those of a logged model, as they
    were when registered. `run` is who wrote them in either case, if a run did.

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
        Run, null=True, on_delete=models.PROTECT, related_name="model_versions", verbose_name=_("run")
    )
    logged_model = models.ForeignKey(
        LoggedModel,
        null=True,
        on_delete=models.PROTECT,
        related_name="model_versions",
        verbose_name=_("logged model"),
    )
    artifact_path = models.CharField(_("artifact path"), max_length=1000, blank=True)
    mlflow_source = models.CharField(
        _("source told by MLflow"),
        max_length=1000,
        blank=True,
        help_text=_("The address by which MLflow's client named the files"),
    )
    run_link = models.CharField(_("link to the run"), max_length=500, blank=True)
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
    deleted_at = models.DateTimeField(_("deleted"), null=True, blank=True)

    objects = ModelVersionQuerySet.as_manager()

    class Meta:
        verbose_name = _("model version")
        verbose_name_plural = _("model versions")
        ordering = ["-created_at", "-id"]
        constraints = [
            models.UniqueConstraint(fields=["model", "version"], name="one_version_per_number"),
            models.UniqueConstraint(
                fields=["model", "version_label"],
                condition=~Q(version_label="") & Q(deleted_at=None),
                name="one_version_per_label",
            ),
            models.CheckConstraint(
                condition=Q(run__isnull=False) | Q(logged_model__isnull=False),
                name="version_is_made_of_something",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.model.name} v{self.version}"

    @property
    def file_owner(self) -> FileOwner:
        """Whose files it is made of."""
        owner = self.logged_model or self.run
        assert owner, "a constraint keeps one of them there"
        return owner

    @property
    def experiment(self) -> Experiment:
        """Where it was made."""
        return self.file_owner.experiment

    @property
    def is_approved(self) -> bool:
        """Approved, and the files are still those that were approved."""
        return self.approved_at is not None and self.approved_sha256 == self.content_sha256

    @property
    def authors(self) -> set[User]:
        """The people behind the version: who registered it, who ran what made it, who logged it, who uploaded files."""
        people = {self.created_by.person}
        for owner in filter(None, (self.run, self.logged_model)):
            uploads = owner.artifacts.exclude(uploaded_by=None).values("uploaded_by")
            uploaders = User.objects.filter(pk__in=uploads).select_related("owner")
            people |= {user.person for user in (owner.created_by, *uploaders)}
        return people


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
