"""Wake work up once the transaction that asked for it has committed.

The database holds what there is to do; a message only says "look now". So a broker that is down delays work until the
sweep finds it, and loses nothing.
"""

import logging
from typing import Any

from celery import current_app
from django.db import transaction
from kombu.exceptions import OperationalError

logger = logging.getLogger(__name__)


def enqueue(task: str, *arguments: Any, countdown_seconds: float | None = None) -> None:
    """Send the Celery task named `task` after commit, with plain JSON `arguments`."""
    transaction.on_commit(lambda: _send(task, arguments, countdown_seconds))


def _send(task: str, arguments: tuple[Any, ...], countdown_seconds: float | None) -> None:
    try:
        current_app.send_task(task, args=arguments, countdown=countdown_seconds)
    except (OperationalError, OSError):
        logger.exception("The broker took no message; the sweep will wake this work", extra={"task": task})
