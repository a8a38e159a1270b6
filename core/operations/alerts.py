"""Raise, resolve and acknowledge alerts."""

from collections.abc import Iterable

from django.db import transaction
from django.utils import timezone

from core.errors import Conflict
from core.models import Alert, User
from core.models.alerts import Severity
from core.operations import audit
from core.roles import Domain, Right, require
from core.translation import gettext as _


@transaction.atomic
def raise_alert(
    *,
    key: str,
    domain: Domain,
    severity: str,
    title: str,
    message: str = "",
    object_type: str = "",
    object_id: str = "",
    url: str = "",
) -> Alert:
    """Open an alert, or bring the open one of the same `key` up to date: a state is told once, not every
    second."""
    alert, created = Alert.objects.select_for_update().get_or_create(
        key=key,
        resolved_at=None,
        defaults={
            "domain": domain,
            "severity": severity,
            "title": title,
            "message": message,
            "object_type": object_type,
            "object_id": object_id,
            "url": url,
        },
    )
    if created:
        audit.record(actor=None, action="alert.raise", target=alert, domain=domain, reason=message)
    elif (alert.severity, alert.title, alert.message) != (severity, title, message):
        if alert.acknowledged_at and _is_worse(severity, alert.severity):
            _reopen(alert, severity, message)
        Alert.objects.filter(pk=alert.pk).update(severity=severity, title=title, message=message)
    return alert


def _is_worse(severity: str, before: str) -> bool:
    return Severity.values.index(severity) > Severity.values.index(before)


def _reopen(alert: Alert, severity: str, message: str) -> None:
    """What was seen was less than this: it waits for somebody again."""
    Alert.objects.filter(pk=alert.pk).update(acknowledged_at=None, acknowledged_by=None, note="")
    audit.record(
        actor=None,
        action="alert.reopen",
        target=alert,
        domain=Domain(alert.domain),
        changes={"severity": [alert.severity, severity]},
        reason=message,
    )


def resolve_alert(*, key: str, reason: str = "") -> None:
    """Close the open alert of `key`, if there is one: what it told of is over."""
    resolve_alerts(keys=[key], reason=reason)


@transaction.atomic
def resolve_alerts(*, keys: Iterable[str], reason: str = "") -> None:
    """Close the open alerts of all `keys`."""
    for alert in Alert.objects.select_for_update().filter(key__in=keys, resolved_at=None):
        Alert.objects.filter(pk=alert.pk).update(resolved_at=timezone.now())
        audit.record(
            actor=None, action="alert.resolve", target=alert, domain=Domain(alert.domain), reason=reason
        )


@transaction.atomic
def acknowledge_alert(*, actor: User | None, alert: Alert, note: str = "") -> Alert:
    """Say that somebody has seen it. Raises Conflict when somebody else said so before."""
    require(actor, Right.WATCH, domain=Domain(alert.domain))
    changed = Alert.objects.filter(pk=alert.pk, acknowledged_at=None).update(
        acknowledged_at=timezone.now(), acknowledged_by=actor, note=note
    )
    if not changed:
        raise Conflict(_("This alert was acknowledged already."))
    alert.refresh_from_db()
    audit.record(
        actor=actor, action="alert.acknowledge", target=alert, domain=Domain(alert.domain), reason=note
    )
    return alert
