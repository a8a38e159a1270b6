import errno
import os
import shutil
import socket
from collections.abc import Iterator
from typing import Any

import psutil
from django.conf import settings
from django.contrib.staticfiles.finders import get_finders
from django.core.checks import Tags
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError
from django.db import OperationalError, connection

from core.models import Heartbeat
from core.supervised import running_here


class Command(BaseCommand):
    """Everything that must be so before the first process starts; script/server calls it."""

    # What a machine or its settings can have wrong. The code's own checks are script/check's, and import every page.
    requires_system_checks = [Tags.database, Tags.files, Tags.staticfiles]
    help = "Check that nothing stands in the way of a start, migrate, collect changed static files."

    def handle(self, *args: Any, **options: Any) -> None:
        self._refuse_second_start()
        self._refuse_taken_port()
        self._migrate()
        self._collect_static_files()
        # Signs of life from an earlier start would make this one look ready before it is.
        Heartbeat.objects.all().delete()

    def _refuse_second_start(self) -> None:
        running = list(running_here())
        if running:
            numbers = " ".join(str(process.pid) for process in running)
            raise CommandError(
                f"A server still runs on {settings.DATA_DIR}:\n"
                + "\n".join(f"  process {process.pid}: {_short(process)}" for process in running)
                + f"\nStop it with: kill {numbers}\nOr set DATA_DIR (and PORT) to start another one."
            )

    def _refuse_taken_port(self) -> None:
        host, port = settings.HOST, settings.PORT
        try:
            family, kind, *_, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
            with socket.socket(family, kind) as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                probe.bind(address)
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                problem = f"Port {port} is taken by {_listener(port)}. Stop it, or set PORT to a free one."
            else:
                problem = f"Cannot listen on HOST {host}, PORT {port}: {error.strerror}."
            raise CommandError(problem) from error

    def _migrate(self) -> None:
        try:
            connection.ensure_connection()
        except OperationalError as error:
            raise CommandError(f"The database that DATABASE_URL names does not answer: {error}") from error
        call_command("migrate", interactive=False, verbosity=0)

    def _collect_static_files(self) -> None:
        """Hashing and compressing takes seconds, listing does not: collect only when the list changed."""
        record = settings.DATA_DIR / "static-files.txt"
        listed = "\n".join(sorted(_static_files()))
        if record.exists() and record.read_text() == listed:
            return
        self.stdout.write("Collecting static files")
        shutil.rmtree(settings.STATIC_ROOT, ignore_errors=True)
        call_command("collectstatic", interactive=False, verbosity=0)
        record.write_text(listed)


def _listener(port: int) -> str:
    try:
        sockets = psutil.net_connections(kind="tcp")
    except psutil.AccessDenied:
        sockets = []
    for found in sockets:
        if found.status == psutil.CONN_LISTEN and found.laddr.port == port and found.pid:
            return f"process {found.pid} ({_short(psutil.Process(found.pid))})"
    return "a process of another user"


def _short(process: psutil.Process) -> str:
    try:
        return " ".join(process.cmdline())[:80]
    except psutil.Error:
        return "just ended"


def _static_files() -> Iterator[str]:
    for finder in get_finders():
        for path, storage in finder.list([]):
            status = os.stat(storage.path(path))
            yield f"{getattr(storage, 'prefix', None) or ''}/{path} {status.st_size} {status.st_mtime_ns}"
