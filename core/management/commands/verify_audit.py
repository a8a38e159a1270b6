from typing import Any

from django.core.management.base import BaseCommand, CommandError

from core.operations import audit


class Command(BaseCommand):
    help = "Recompute the audit trail's chain of hashes; fails at the first row that does not fit."

    def handle(self, *args: Any, **options: Any) -> None:
        audit.seal()
        try:
            sealed, waiting = audit.verify()
        except ValueError as error:
            raise CommandError(str(error)) from error
        self.stdout.write(f"The audit trail holds: {sealed} rows sealed, {waiting} waiting.")
