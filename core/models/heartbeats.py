"""Signs of life of the processes beside the web server."""

from datetime import timedelta

from django.db import models
from django.utils import timezone


class HeartbeatQuerySet(models.QuerySet):
    def beat(self, component: str) -> None:
        """Note that `component` is alive now."""
        self.update_or_create(component=component, defaults={"at": timezone.now()})

    def alive(self, component: str, *, within_seconds: float) -> bool:
        return self.filter(
            component=component, at__gt=timezone.now() - timedelta(seconds=within_seconds)
        ).exists()


class Heartbeat(models.Model):
    component = models.CharField(max_length=50, unique=True)
    at = models.DateTimeField()

    objects = HeartbeatQuerySet.as_manager()

    def __str__(self) -> str:
        return f"{self.component} at {self.at:%H:%M:%S}"
