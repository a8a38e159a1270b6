"""Signs of life of the processes beside the web server."""

from datetime import timedelta

from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _


class HeartbeatQuerySet(models.QuerySet):
    def beat(self, component: str) -> None:
        """Note that `component` is alive now."""
        self.update_or_create(component=component, defaults={"at": timezone.now()})

    def alive(self, component: str, *, within_seconds: float) -> bool:
        return self.filter(
            component=component, at__gt=timezone.now() - timedelta(seconds=within_seconds)
        ).exists()


class Heartbeat(models.Model):
    component = models.CharField(_("process"), max_length=50, unique=True)
    at = models.DateTimeField(_("last seen"))

    objects = HeartbeatQuerySet.as_manager()

    class Meta:
        verbose_name = _("heartbeat")
        verbose_name_plural = _("heartbeats")

    def __str__(self) -> str:
        return f"{self.component} at {self.at:%H:%M:%S}"
