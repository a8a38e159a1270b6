"""Where a target and a replica may stand. Pure: no models, no Django settings."""

from django.db import models
from django.utils.translation import gettext_lazy as _


class TargetState(models.TextChoices):
    STARTING = "starting", _("Starting")
    SERVING = "serving", _("Serving")
    DRAINING = "draining", _("Draining")
    STOPPED = "stopped", _("Stopped")


class ReplicaState(models.TextChoices):
    STARTING = "starting", _("Starting")
    READY = "ready", _("Ready")
    DRAINING = "draining", _("Draining")
    BACKOFF = "backoff", _("Waiting to restart")
    FAILED = "failed", _("Failed")


class Span(models.TextChoices):
    """How long a stretch of traffic is summed up."""

    MINUTE = "minute"
    HOUR = "hour"


WANTED = (TargetState.STARTING, TargetState.SERVING)
