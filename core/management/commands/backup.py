import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.template.defaultfilters import filesizeformat

from core.operations.backups import BackupError, take_backup

# Written, but not whole: a timer's mail or a monitor must say so.
INCOMPLETE = 2


class Command(BaseCommand):
    """Exit code 0: all is in it. 1: there is no backup. 2: there is one, without the files that were named."""

    help = "Write database, artifacts and signing key into one new file. The platform may go on running."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("destination", type=Path, help="the file to write; it must not exist")

    def handle(self, *args: Any, **options: Any) -> None:
        destination = options["destination"].absolute()
        try:
            with ended_tidily_by_sigterm():
                taken = take_backup(destination=destination)
        except BackupError as error:
            raise CommandError(str(error)) from error
        self.stdout.write(
            f"{destination}: {taken.rows} rows, {taken.files} files of {filesizeformat(taken.file_bytes)}. "
            "It holds everything the platform knows: keep it as you keep the database."
        )
        if taken.missing:
            raise CommandError(
                "\n".join([f"{len(taken.missing)} files are not in it:", *taken.missing]),
                returncode=INCOMPLETE,
            )


@contextmanager
def ended_tidily_by_sigterm() -> Iterator[None]:
    """Leave nothing half done behind when a service manager ends this."""
    before = signal.signal(signal.SIGTERM, lambda number, _frame: sys.exit(128 + number))
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
