"""What somebody should look at, raised by any app."""

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from core.models.access import DomainRows
from core.models.sentences import SentenceField


class Severity(models.TextChoices):
    LOW = "low", _("Low")
    MEDIUM = "medium", _("Medium")
    HIGH = "high", _("High")
    CRITICAL = "critical", _("Critical")


class Alert(models.Model):
    """A state that needs a person, open until it resolves by itself or somebody acknowledges it."""

    key = models.CharField(_("key"), max_length=200)
    domain = models.CharField(_("domain"), max_length=20)
    severity = models.CharField(_("severity"), max_length=10, choices=Severity)
    title = SentenceField(_("title"))
    message = SentenceField(_("message"), blank=True, default=str)
    object_type = models.CharField(_("object type"), max_length=40, blank=True)
    object_id = models.CharField(_("object id"), max_length=64, blank=True)
    url = models.CharField(_("address of a page"), max_length=300, blank=True)
    raised_at = models.DateTimeField(_("raised"), auto_now_add=True, db_index=True)
    resolved_at = models.DateTimeField(_("resolved"), null=True)
    acknowledged_at = models.DateTimeField(_("acknowledged"), null=True)
    acknowledged_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        null=True,
        on_delete=models.PROTECT,
        related_name="+",
        verbose_name=_("acknowledged by"),
    )
    note = models.TextField(_("note"), blank=True)

    objects = DomainRows.as_manager()

    class Meta:
        verbose_name = _("alert")
        verbose_name_plural = _("alerts")
        ordering = ["-raised_at", "-id"]
        constraints = [
            models.UniqueConstraint(
                fields=["key"], condition=Q(resolved_at=None), name="one_open_alert_per_key"
            )
        ]

    def __str__(self) -> str:
        return self.title

    @property
    def page(self) -> str:
        """The page of this site to look at, or "": no other address is made a link of."""
        return self.url if self.url.startswith("/") and not self.url.startswith("//") else ""
