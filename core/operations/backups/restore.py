"""Restoring a backup into an empty place."""

from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path
from typing import BinaryIO, cast

from django.conf import settings
from django.db import DatabaseError, connection, transaction

from core import secret_file
from core.errors import DomainError
from core.models import AuditChain, Heartbeat
from core.operations import audit
from core.operations.backups import database
from core.operations.backups.archive import FORMAT, ArchiveReader, HashedStream, Member
from core.operations.backups.errors import BackupError
from core.operations.backups.parts import Part, backup_parts
from core.operations.backups.tables import load, reset_sequences
from core.operations.backups.take import SECRET_KEY
from core.roles import Domain
from core.supervised import running_here

MANIFEST_KEYS = {"release", "taken_at", "migrations", "tables", "missing", "audit"}


@dataclass
class Restored:
    """What is there now. `notes` are for whoever restored; `broken_trail` says what is wrong with the audit trail."""

    release: str
    taken_at: str
    rows: int = 0
    files: int = 0
    sealed: int = 0
    broken_trail: str = ""
    missing: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def restore_backup(*, source: Path) -> Restored:
    """Bring up what a backup holds, in a place where nothing is yet.

    The archive is read through and its hashes compared before anything is touched. All rows and all files come,
    or none: whatever breaks in between is taken back. Raises BackupError with what to do.
    """
    archive = ArchiveReader(source)
    restored = _readable(archive)
    parts = backup_parts()
    try:
        _refuse_running()
        for part in parts:
            if problem := part.problem():
                raise BackupError(problem)
        archive.verify()
        with _all_or_none(archive, parts, restored), database.empty_database():
            restored.rows = _fill_tables(archive)
            _write_files(archive, parts, restored)
            _settle(archive, parts, restored)
    except (OSError, DatabaseError, DomainError) as error:
        raise BackupError(f"Nothing was restored: {str(error).strip()}") from error
    restored.notes += _keep_secret_key(archive)
    return restored


def _readable(archive: ArchiveReader) -> Restored:
    """Raise BackupError for an archive that this release cannot restore."""
    manifest = archive.manifest
    release = str(manifest.get("release"))
    if manifest["format"] > FORMAT:
        raise BackupError(
            f"The backup is in format {manifest['format']}, of release {release}; this release reads up to {FORMAT}. "
            "Restore with that release or a newer one."
        )
    if missing := sorted(MANIFEST_KEYS - set(manifest)):
        raise BackupError(f"{archive.source} is damaged: its manifest does not tell {', '.join(missing)}.")
    manifest["migrations"] = [tuple(migration) for migration in manifest["migrations"]]
    database.refuse_newer(manifest["migrations"], release)
    return Restored(release=release, taken_at=str(manifest["taken_at"]), missing=manifest["missing"])


def _refuse_running() -> None:
    if pids := " ".join(str(process.pid) for process in running_here()):
        raise BackupError(f"The platform runs on {settings.DATA_DIR}. Stop it first: kill {pids}")


def _fill_tables(archive: ArchiveReader) -> int:
    """The tables of the backup's release, its rows, and then what this release changes in both."""
    database.make_tables(archive.manifest["migrations"])
    tables = {table["table"]: table for table in archive.manifest["tables"]}
    loaded: dict[str, int] = defaultdict(int)
    with transaction.atomic():
        _empty(list(tables))
        for name, members in groupby(
            _under("database", archive), key=lambda member: member.name.split("/")[1]
        ):
            if name not in tables:
                raise BackupError(f"The backup has rows of a table that it does not describe: “{name}”.")
            pieces = cast(Iterator[BinaryIO], (member.stream for member in members))
            loaded[name] += load(name, tables[name]["columns"], pieces)
        for name, table in tables.items():
            if loaded[name] != table["rows"]:
                raise BackupError(f"Table {name} has {loaded[name]} rows in the backup, not {table['rows']}.")
        connection.check_constraints()
    reset_sequences()  # migrations add rows
    database.migrate_to_this_release()
    reset_sequences()  # and rename tables
    return sum(loaded.values())


def _empty(tables: list[str]) -> None:
    """Rows that migrations made come with the backup, as it has them."""
    with connection.cursor() as cursor:
        for table in sorted(set(tables) & set(connection.introspection.table_names(cursor))):
            cursor.execute(f"DELETE FROM {connection.ops.quote_name(table)}")


def _write_files(archive: ArchiveReader, parts: list[Part], restored: Restored) -> None:
    for part in parts:
        for member in _under(part.name, archive):
            part.write(_key(part, member), HashedStream(member.stream, member.size))
            restored.files += 1


def _settle(archive: ArchiveReader, parts: list[Part], restored: Restored) -> None:
    """What was true of the old place only is made true again, and the trail says that it moved."""
    Heartbeat.objects.all().delete()
    for part in parts:
        restored.notes += part.settle()
    chain = AuditChain.objects.get_or_create(pk=1)[0]
    head = archive.manifest["audit"]
    try:
        audit.verify()
        if (chain.sequence, chain.hash) != (head["sequence"], head["hash"]):
            raise ValueError(
                f"The trail ends at row {chain.sequence}, that of the backup at {head['sequence']}."
            )
    except ValueError as error:
        restored.broken_trail = str(error)
    with transaction.atomic():
        audit.record(
            actor=None,
            action="platform.restore",
            target=chain,
            domain=Domain.CORE,
            changes={
                "taken_at": restored.taken_at,
                "release": [restored.release, settings.RELEASE],
                "rows": restored.rows,
                "files": restored.files,
                "missing": len(restored.missing),
                "audit_trail": restored.broken_trail or "holds",
            },
        )
    audit.seal()
    restored.sealed = AuditChain.objects.get(pk=1).sequence


def _keep_secret_key(archive: ArchiveReader) -> list[str]:
    """Sessions go on where the key that signed them is still in use."""
    for member in archive.members():
        if member.name != SECRET_KEY:
            continue
        if not secret_file.is_in_use():
            return ["SECRET_KEY is set here, and is not the backup's: everybody has to sign in again."]
        secret_file.replace(member.stream.read(1024))
    return []


@contextmanager
def _all_or_none(archive: ArchiveReader, parts: list[Part], restored: Restored) -> Iterator[None]:
    """Take the written files back when anything breaks. The stores were empty, so nothing else is hit."""
    try:
        yield
    except BaseException:
        if restored.files:
            for part in parts:
                for member in _under(part.name, archive):
                    part.delete(_key(part, member))
        raise


def _under(folder: str, archive: ArchiveReader) -> Iterator[Member]:
    return (member for member in archive.members() if folder and member.name.startswith(f"{folder}/"))


def _key(part: Part, member: Member) -> str:
    return member.name.removeprefix(f"{part.name}/")
