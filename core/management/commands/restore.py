from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from core.management.commands.backup import INCOMPLETE, ended_tidily_by_sigterm
from core.operations.backups import BackupError, restore_backup


class Command(BaseCommand):
    """Exit code 0: all is there. 1: nothing is. 2: it is there, but the audit trail of the backup does not hold."""

    help = "Restore a backup into an empty place: a new DATA_DIR or database, and an empty artifact store."
    requires_system_checks = []  # there is nothing to check yet

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("source", type=Path, help="a file that “manage.py backup” wrote")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            with ended_tidily_by_sigterm():
                restored = restore_backup(source=options["source"].absolute())
        except BackupError as error:
            raise CommandError(str(error)) from error
        self.stdout.write(
            f"Restored what release {restored.release} had at {restored.taken_at}: "
            f"{restored.rows} rows, {restored.files} files."
        )
        for line in [*restored.notes, *(f"Missing since the backup: {name}" for name in restored.missing)]:
            self.stdout.write(line)
        if restored.broken_trail:
            raise CommandError(
                f"All of it is there, but its audit trail does not hold: {restored.broken_trail}",
                returncode=INCOMPLETE,
            )
        self.stdout.write(
            f"The audit trail holds: {restored.sealed} rows sealed, the last one about this restore."
        )
