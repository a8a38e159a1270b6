"""The whole platform in one file: taken while it runs, restored into an empty place.

The archive is a tar of plain members, the same for both database engines (ADR 16):

    secret_key                          only when it was generated under DATA_DIR
    database/<table>/000001.jsonl.gz    rows, one JSON list a line
    <part>/<key>                        bytes that rows name, such as artifacts
    files.jsonl                         name, size and SHA-256 of every member before it
    manifest.json                       format, release, migrations, tables, counts, head of the audit trail
"""

from core.operations.backups.errors import BackupError
from core.operations.backups.restore import Restored, restore_backup
from core.operations.backups.take import Taken, take_backup

__all__ = ["BackupError", "Restored", "Taken", "restore_backup", "take_backup"]
