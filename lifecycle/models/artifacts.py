"""Files of runs and of logged models. The bytes lie in the artifact store; a row says which there are, how large and
with what hash.
"""

from django.conf import settings
from django.db import models
from django.db.models.functions import Left
from django.utils.translation import gettext_lazy as _

from core.models.rows import VisibleRows
from lifecycle.models.logged_models import LoggedModel
from lifecycle.models.runs import Run

# Either has `artifacts`, a `storage_folder` and `versions_of_files`.
FileOwner = Run | LoggedModel


class ArtifactQuerySet(VisibleRows):
    def under(self, folder: str) -> "ArtifactQuerySet":
        """Those inside `folder`, at any depth; all of them for "". Not `startswith`: SQLite's ignores
        case.
        """
        if not folder:
            return self
        start = f"{folder}/"
        return self.alias(start=Left("path", len(start))).filter(start=start)


class Artifact(models.Model):
    """One file. `storage_key` is where its bytes lie: each upload writes a key of its own, and the row moves
    from the old key to the new one in one statement, so that it always tells of whole bytes with exactly its
    size and hash.
    """

    run = models.ForeignKey(
        Run, null=True, on_delete=models.PROTECT, related_name="artifacts", verbose_name=_("run")
    )
    logged_model = models.ForeignKey(
        LoggedModel,
        null=True,
        on_delete=models.PROTECT,
        related_name="artifacts",
        verbose_name=_("logged model"),
    )
    path = models.CharField(_("path"), max_length=1000)
    artifact_type = models.CharField(_("type"), max_length=100, blank=True)
    size_bytes = models.BigIntegerField(_("size"))
    sha256 = models.CharField(_("SHA-256"), max_length=64)
    storage_key = models.CharField(_("storage key"), max_length=100, editable=False)
    uploaded_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        null=True,
        on_delete=models.PROTECT,
        related_name="+",
        verbose_name=_("uploaded by"),
    )
    created_at = models.DateTimeField(_("created"), auto_now_add=True)
    updated_at = models.DateTimeField(_("updated"), auto_now=True)

    objects = ArtifactQuerySet.as_manager()

    class Meta:
        verbose_name = _("artifact")
        verbose_name_plural = _("artifacts")
        ordering = ["path"]
        constraints = [
            models.UniqueConstraint(fields=["run", "path"], name="one_artifact_per_path"),
            models.UniqueConstraint(fields=["logged_model", "path"], name="one_artifact_per_path_of_model"),
            models.CheckConstraint(
                condition=models.Q(run=None) ^ models.Q(logged_model=None),
                name="artifact_of_run_or_logged_model",
            ),
        ]

    def __str__(self) -> str:
        return self.path

    @property
    def owner(self) -> FileOwner:
        owner = self.run or self.logged_model
        assert owner, "a constraint keeps one of them there"
        return owner

    @property
    def name(self) -> str:
        return self.path.rpartition("/")[2]
