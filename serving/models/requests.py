"""What was asked of a deployment: single requests, and sums that stay cheap over days."""

from django.db import models
from django.utils.translation import gettext_lazy as _

from serving.states import Span


class RequestLog(models.Model):
    """One prediction request. Inputs and outputs are kept only for the sampled share of them."""

    request_id = models.CharField(_("request id"), max_length=64, db_index=True)
    deployment_id = models.BigIntegerField(_("deployment"))
    at = models.DateTimeField(_("time"), db_index=True)
    status = models.PositiveSmallIntegerField(_("status"))
    latency_ms = models.FloatField(_("latency"))
    rows = models.PositiveIntegerField(_("rows"), default=0)
    retried = models.BooleanField(_("retried"), default=False)
    user_id = models.BigIntegerField(_("user"), null=True)
    input = models.TextField(_("input"), blank=True)
    output = models.TextField(_("output"), blank=True)

    class Meta:
        verbose_name = _("logged request")
        verbose_name_plural = _("logged requests")
        indexes = [models.Index(fields=["deployment_id", "-at"], name="requests_by_deployment")]

    def __str__(self) -> str:
        return f"{self.request_id} {self.status}"


class RequestSums(models.Model):
    """The requests of one deployment in a minute or an hour; both are kept, so that a week is 168 rows.

    `count` is of all of them, `errors` of those the server is to blame for (5xx), `client_errors` of those
    the caller is (4xx). Latencies are of the rest: an error that comes at once must not look fast.
    `histogram` maps a bucket of `serving.histogram` to its count; `last_at` is when the latest request ended.
    """

    deployment_id = models.BigIntegerField(_("deployment"))
    span = models.CharField(_("span"), max_length=6, choices=Span)
    start = models.DateTimeField(_("start"))
    count = models.PositiveIntegerField(_("requests"), default=0)
    errors = models.PositiveIntegerField(_("errors"), default=0)
    client_errors = models.PositiveIntegerField(_("errors of callers"), default=0)
    rows = models.PositiveBigIntegerField(_("rows"), default=0)
    latency_sum_ms = models.FloatField(_("sum of latencies"), default=0)
    histogram = models.JSONField(_("histogram of latencies"), default=dict)
    last_at = models.DateTimeField(_("last request"))

    class Meta:
        verbose_name = _("sums of requests")
        verbose_name_plural = _("sums of requests")
        constraints = [
            models.UniqueConstraint(
                fields=["deployment_id", "span", "start"], name="one_row_of_sums_per_span"
            )
        ]
        indexes = [models.Index(fields=["span", "start"], name="sums_by_age")]

    def __str__(self) -> str:
        return f"{self.deployment_id} in the {self.span} from {self.start:%H:%M}"
