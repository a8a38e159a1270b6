"""Housekeeping that runs by itself."""

import time
from datetime import timedelta

from celery import shared_task
from django.conf import settings
from django.contrib.sessions.models import Session
from django.utils import timezone

from core.models import Heartbeat, IdempotentRequest, SignInLink
from core.operations import audit

WORKER = "worker"
KEEP_PROCESSED_SECONDS = 300
KEEP_ANSWERS = timedelta(hours=24)
# Somebody who opens an old link is told that it is too old, rather than that there is none.
KEEP_LINKS = timedelta(days=30)


@shared_task(name="core.note_worker_heartbeat")
def note_worker_heartbeat() -> None:
    """Beat asked, the broker carried, a worker ran: all three are alive."""
    Heartbeat.objects.beat(WORKER)


@shared_task(name="core.seal_audit")
def seal_audit() -> None:
    audit.seal()


@shared_task(name="core.sweep_broker")
def sweep_broker() -> None:
    """Clear messages the filesystem broker keeps after delivery."""
    if settings.REDIS_URL:
        return
    oldest = time.time() - KEEP_PROCESSED_SECONDS
    for message in (settings.BROKER_DIR / "processed").iterdir():
        if message.stat().st_mtime < oldest:
            message.unlink(missing_ok=True)


@shared_task(name="core.forget_idempotency_keys")
def forget_idempotency_keys() -> None:
    IdempotentRequest.objects.filter(created_at__lt=timezone.now() - KEEP_ANSWERS).delete()


@shared_task(name="core.forget_sessions")
def forget_sessions() -> None:
    """Delete the sessions and the sign-in links that are of no use any more."""
    now = timezone.now()
    Session.objects.filter(expire_date__lt=now).delete()
    SignInLink.objects.filter(expires_at__lt=now - KEEP_LINKS).delete()
