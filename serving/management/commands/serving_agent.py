import signal
import threading
from typing import Any

from django.core.management.base import BaseCommand

from serving.agent import Agent
from serving.backend_choice import serving_backend


class Command(BaseCommand):
    """SIGTERM leaves the model processes serving for the next agent; SIGINT (Ctrl-C) stops them too."""

    help = "Run the serving agent: keeps the model processes as the database says they should be."
    # They import every page and address, of which it has none: a second of its start and memory for good.
    requires_system_checks = []

    def handle(self, *args: Any, **options: Any) -> None:
        stopping = threading.Event()
        received: list[int] = []
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda signum, frame: (received.append(signum), stopping.set()))
        backend = serving_backend()
        backend.own()
        Agent(backend).run(stopping)
        backend.shutdown(keep_replicas=signal.SIGINT not in received)
