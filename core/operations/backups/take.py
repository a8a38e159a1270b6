"""Taking a backup while the platform runs."""

import json
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any

from django.conf import settings
from django.db import DatabaseError, connection

from core import secret_file
from core.errors import DomainError, NotFound
from core.models import AuditChain, AuditEvent
from core.operations.backups.archive import ArchiveWriter
from core.operations.backups.database import applied_migrations, snapshot
from core.operations.backups.errors import BackupError, FileDiffers
from core.operations.backups.parts import Part, StoredFile, backup_parts
from core.operations.backups.tables import columns_of, dump, kept_models

SECRET_KEY = "secret_key"


@dataclass
class Taken:
    """What a backup holds. `missing` says which files it does not, and why."""

    rows: int = 0
    files: int = 0
    file_bytes: int = 0
    missing: list[str] = field(default_factory=list)


def take_backup(*, destination: Path) -> Taken:
    """Write the whole platform into the new file `destination`.

    First the rows, all as of one moment; then, with that moment over, the bytes that they name. A file that is
    missing or damaged in the store is named, in `missing` and in the archive, and the rest is kept. Raises
    BackupError when no backup could be made; then there is no file.
    """
    parts = backup_parts()
    taken = Taken()
    with ArchiveWriter(destination) as archive, ExitStack() as lists:
        try:
            migrations = applied_migrations()
            if secret_file.is_in_use():
                archive.add_bytes(SECRET_KEY, settings.SECRET_KEY_FILE.read_bytes())
            with snapshot():
                taken_at = datetime.now(UTC)
                tables = [_add_table(archive, model) for model in kept_models()]
                chain = AuditChain.objects.filter(pk=1).first() or AuditChain()
                unsealed = AuditEvent.objects.filter(sequence=None).count()
                named = [(part, lists.enter_context(_listed(part))) for part in parts]
            taken.rows = sum(table["rows"] for table in tables)
            counts = {
                part.name: _add_files(archive, part, files, taken) for part, files in named if part.name
            }
            archive.finish(
                {
                    "release": settings.RELEASE,
                    "taken_at": taken_at.isoformat(),
                    "engine": connection.vendor,
                    "migrations": migrations,
                    "tables": tables,
                    "files": counts,
                    "missing": taken.missing,
                    "audit": {"sequence": chain.sequence, "hash": chain.hash, "unsealed": unsealed},
                }
            )
        except (OSError, DatabaseError, DomainError) as error:
            why = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
            raise BackupError(f"No backup was taken, and nothing is left of it: {why.strip()}") from error
    return taken


def _add_table(archive: ArchiveWriter, model: Any) -> dict[str, Any]:
    table, rows = model._meta.db_table, 0
    columns = columns_of(model)
    for number, (piece, count) in enumerate(dump(model), start=1):
        archive.add_bytes(f"database/{table}/{number:06}.jsonl.gz", piece)
        rows += count
    return {"table": table, "columns": columns, "rows": rows}


def _listed(part: Part) -> IO[str]:
    """The part's files, one a line: there may be more than memory should hold, and the snapshot must not last."""
    lines = tempfile.TemporaryFile("w+")  # noqa: SIM115 - the caller closes it
    for file in part.files():
        lines.write(json.dumps(asdict(file)) + "\n")
    lines.seek(0)
    return lines


def _add_files(archive: ArchiveWriter, part: Part, lines: Iterator[str], taken: Taken) -> dict[str, int]:
    before = taken.files, taken.file_bytes
    for line in lines:
        file = StoredFile(**json.loads(line))
        if problem := _add_file(archive, part, file):
            taken.missing.append(f"{file.label}: {problem}")
        else:
            taken.files += 1
            taken.file_bytes += file.size_bytes
    return {"count": taken.files - before[0], "bytes": taken.file_bytes - before[1]}


def _add_file(archive: ArchiveWriter, part: Part, file: StoredFile) -> str:
    """Copy one file; returns what is wrong with it, if something is."""
    name = f"{part.name}/{file.key}"
    try:
        with part.open(file) as stream:
            archive.add(name, stream, file.size_bytes, sha256=file.sha256)
    except NotFound:
        if part.still_wanted(file):
            return "the store has lost it"
        return "it was replaced or deleted while the backup was taken; the next one has what came after"
    except FileDiffers as error:
        return f"damaged in the store: {error}"
    return ""
