"""What should be served, and the replicas that serve it. The agent makes the second follow the first."""

from django.db import models
from django.utils.translation import gettext_lazy as _

from core.models.sentences import SentenceField
from serving.states import ReplicaState, TargetState


class Endpoint(models.Model):
    """Where predictions are asked for: one per model and environment, whatever serves behind it."""

    model_name = models.CharField(_("model"), max_length=250)
    environment = models.CharField(_("environment"), max_length=20)

    class Meta:
        verbose_name = _("endpoint")
        verbose_name_plural = _("endpoints")
        constraints = [
            models.UniqueConstraint(fields=["model_name", "environment"], name="one_endpoint_per_place")
        ]

    def __str__(self) -> str:
        return f"{self.model_name}/{self.environment}"


class Target(models.Model):
    """One model version behind an endpoint: desired state, written by operations and read by the agent.

    `deployment_id` is the lifecycle's deployment as a plain number, since this app knows nothing of the lifecycle;
    `wake_task` is the Celery task to send with that number when the target's readiness changes.
    """

    endpoint = models.ForeignKey(
        Endpoint, on_delete=models.PROTECT, related_name="targets", verbose_name=_("endpoint")
    )
    deployment_id = models.BigIntegerField(_("deployment"), unique=True)
    model_version = models.PositiveIntegerField(_("version"))
    model_path = models.CharField(_("model path"), max_length=1000)
    allow_code = models.BooleanField(_("may run code"), default=False)
    instance_type = models.CharField(_("instance type"), max_length=50)
    min_instances = models.PositiveIntegerField(_("fewest instances"), default=1)
    max_instances = models.PositiveIntegerField(_("most instances"), default=1)
    instances = models.PositiveIntegerField(_("instances wanted"), default=1)
    weight = models.PositiveIntegerField(_("share of traffic"), default=0)
    state = models.CharField(_("state"), max_length=10, choices=TargetState, default=TargetState.STARTING)
    generation = models.PositiveIntegerField(_("generation"), default=1)
    wake_task = models.CharField(_("task to wake"), max_length=100, blank=True)
    created_at = models.DateTimeField(_("created"), auto_now_add=True)
    updated_at = models.DateTimeField(_("updated"), auto_now=True)

    class Meta:
        verbose_name = _("target")
        verbose_name_plural = _("targets")
        indexes = [models.Index(fields=["state"], name="target_by_state")]

    def __str__(self) -> str:
        return f"{self.endpoint} v{self.model_version}"


class Replica(models.Model):
    """One model process (or remote replica), as the agent last saw it."""

    target = models.ForeignKey(
        Target, on_delete=models.CASCADE, related_name="replicas", verbose_name=_("target")
    )
    name = models.CharField(_("name"), max_length=64, unique=True)
    state = models.CharField(_("state"), max_length=10, choices=ReplicaState)
    generation = models.PositiveIntegerField(_("generation"), default=1)
    address = models.CharField(_("address"), max_length=300, blank=True)
    pid = models.PositiveIntegerField(_("process id"), null=True)
    memory_bytes = models.BigIntegerField(_("memory"), default=0)
    queue_depth = models.FloatField(_("queue depth"), default=0)
    requests = models.PositiveBigIntegerField(_("requests"), default=0)
    errors = models.PositiveBigIntegerField(_("errors"), default=0)
    restarts = models.PositiveIntegerField(_("restarts"), default=0)
    message = SentenceField(_("message"), blank=True, default=str)
    started_at = models.DateTimeField(_("started"), null=True)
    ready_at = models.DateTimeField(_("ready"), null=True)
    updated_at = models.DateTimeField(_("updated"), auto_now=True)

    class Meta:
        verbose_name = _("replica")
        verbose_name_plural = _("replicas")
        ordering = ["id"]

    def __str__(self) -> str:
        return f"{self.target} {self.name}"
