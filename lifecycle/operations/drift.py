"""Drift events: recorded by monitors and people, raised as alerts, acknowledged once."""

import hashlib
import math
from datetime import datetime, timedelta

from django.db import transaction
from django.utils import timezone

from core.errors import Conflict, Invalid
from core.models import User
from core.models.alerts import Severity
from core.names import check_visible
from core.operations import audit
from core.operations.alerts import raise_alert, resolve_alert
from core.roles import Domain, Right, require
from core.translation import gettext as _
from lifecycle.models import DriftEvent, ModelVersion

ALARMING = (Severity.HIGH, Severity.CRITICAL)
CLOCK_SKEW = timedelta(minutes=5)


@transaction.atomic
def record_drift(
    *,
    actor: User | None,
    version: ModelVersion,
    severity: str,
    metric_name: str,
    metric_value: float,
    threshold: float,
    message: str = "",
    remediation_action: str = "",
    detected_at: datetime | None = None,
) -> DriftEvent:
    """Note that a statistic left its bounds; high and critical ones raise an alert a version and metric."""
    require(actor, Right.WATCH, domain=Domain.LIFECYCLE)
    check_visible(metric_name, field="metric_name")
    now = timezone.now()
    if detected_at and detected_at > now + CLOCK_SKEW:
        raise Invalid(_("Drift is detected in the past."), fields={"detected_at": detected_at.isoformat()})
    if math.isnan(metric_value) or not math.isfinite(threshold):
        raise Invalid(
            _("Drift is a number beyond a finite threshold."), fields={"metric_value": metric_value}
        )
    event = DriftEvent.objects.create(
        model_version=version,
        detected_at=detected_at or now,
        severity=severity,
        metric_name=metric_name,
        metric_value=metric_value,
        threshold=threshold,
        message=message,
        remediation_action=remediation_action,
        recorded_by=actor,
    )
    audit.record(
        actor=actor,
        action="drift_event.record",
        target=event,
        domain=Domain.LIFECYCLE,
        changes={"severity": severity, "metric_value": str(metric_value), "threshold": threshold},
        reason=message,
    )
    if severity in ALARMING:
        _alert(event)
    return event


@transaction.atomic
def acknowledge_drift(*, actor: User, event: DriftEvent) -> DriftEvent:
    """Say that somebody has seen it. With the last alarming one of a version and metric, the alert ends too.

    Raises Conflict when somebody said so before.
    """
    require(actor, Right.WATCH, domain=Domain.LIFECYCLE)
    seen = DriftEvent.objects.filter(pk=event.pk, acknowledged_at=None).update(
        acknowledged_at=timezone.now(), acknowledged_by=actor
    )
    if not seen:
        raise Conflict(_("This drift event was acknowledged already."))
    event.refresh_from_db()
    audit.record(actor=actor, action="drift_event.acknowledge", target=event, domain=Domain.LIFECYCLE)
    alarming = DriftEvent.objects.filter(
        model_version=event.model_version_id,
        metric_name=event.metric_name,
        severity__in=ALARMING,
        acknowledged_at=None,
    )
    if not alarming.exists():
        resolve_alert(key=_alert_key(event), reason=_("Acknowledged."))
    return event


def _alert(event: DriftEvent) -> None:
    raise_alert(
        key=_alert_key(event),
        domain=Domain.LIFECYCLE,
        severity=event.severity,
        title=_("Drift: %s") % event,
        message=event.message
        or _("%(value)s is beyond the threshold %(threshold)s.")
        % {"value": event.metric_value, "threshold": event.threshold},
        object_type="driftevent",
        object_id=str(event.pk),
    )


def _alert_key(event: DriftEvent) -> str:
    """One alert a version and metric; metric names can be longer than a key, so the key holds their hash."""
    metric = hashlib.sha256(event.metric_name.encode()).hexdigest()[:16]
    return f"drift-{event.model_version_id}-{metric}"
