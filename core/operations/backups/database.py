"""What differs between the two engines: one moment's view of everything, and a place for everything."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from django.core.management import call_command
from django.db import connection, transaction
from django.db.migrations.executor import MigrationExecutor
from django.db.migrations.loader import MigrationLoader

from core.operations.backups.archive import sync_folder
from core.operations.backups.errors import BackupError

Migration = tuple[str, str]


@contextmanager
def snapshot() -> Iterator[None]:
    """Everything read inside is of one moment, and nobody waits for the reader."""
    if connection.vendor == "sqlite":
        sqlite: Any = connection
        sqlite.ensure_connection()
        usual = sqlite.transaction_mode
        sqlite.transaction_mode = "DEFERRED"  # IMMEDIATE, which writers need, would hold them all up
        try:
            with transaction.atomic():
                yield
        finally:
            sqlite.transaction_mode = usual
    else:
        with transaction.atomic():
            with connection.cursor() as cursor:
                cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
            yield


@contextmanager
def empty_database() -> Iterator[None]:
    """A database without tables. What is made inside is there when the block ends, or nothing of it is.

    In PostgreSQL that is one transaction. SQLite changes tables outside of them only, so there it is a file of its
    own, renamed at the end. Raises BackupError when there are tables, or somebody else is connected.
    """
    if tables := _tables():
        raise BackupError(
            f"The database {connection.settings_dict['NAME']} is not empty: it has {len(tables)} tables. "
            "Restore into a new one: set another DATA_DIR, or create a database and name it in DATABASE_URL."
        )
    if connection.vendor == "sqlite":
        with _file_beside():
            yield
    else:
        _refuse_company()
        with transaction.atomic():
            yield


def applied_migrations() -> list[Migration]:
    """What the database has. Raises BackupError unless that is what this release makes."""
    loader = MigrationLoader(connection)
    applied, known = set(loader.applied_migrations or ()), set(loader.graph.nodes)
    if missing := known - applied:
        raise BackupError(
            f"The database is of an older release: {_listed(missing)} not applied. "
            "Take the backup with the release that made it, or run “manage.py migrate” first."
        )
    if unknown := applied - set(loader.disk_migrations or ()):
        raise BackupError(f"The database is of a newer release: it has {_listed(unknown)}.")
    return sorted(known)


def refuse_newer(migrations: list[Migration], release: str) -> None:
    """Raise BackupError when a backup has migrations that this release does not know."""
    loader = MigrationLoader(None)
    if unknown := set(migrations) - set(loader.graph.nodes):
        raise BackupError(
            f"The backup is of a newer release ({release}): this one does not know {_listed(unknown)}. "
            f"Install release {release} or a newer one, and restore with that."
        )


def make_tables(migrations: list[Migration]) -> None:
    """The tables as they were for the release that had these migrations."""
    executor = MigrationExecutor(connection)
    nodes, wanted = executor.loader.graph.node_map, set(migrations)
    # The last ones alone: asked for one that another needs, the executor would go back to it.
    last = [name for name in migrations if not any(child.key in wanted for child in nodes[name].children)]
    executor.migrate(last)
    if short := wanted - set(MigrationLoader(connection).applied_migrations or ()):
        raise BackupError(
            f"The backup's migrations do not belong together: {_listed(short)} could not be applied."
        )


def migrate_to_this_release() -> None:
    call_command("migrate", interactive=False, verbosity=0)


def _tables() -> list[str]:
    """Looked at without making SQLite's file, which a restore that is refused should not leave behind."""
    if connection.vendor == "sqlite" and not Path(connection.settings_dict["NAME"]).exists():
        return []
    return connection.introspection.table_names()


def _refuse_company() -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() "
            "AND pid <> pg_backend_pid() AND backend_type = 'client backend'"
        )
        (others,) = cursor.fetchone()
    if others:
        raise BackupError(
            f"{others} others are connected to the database. Stop the platform, and whoever else uses it, first."
        )


@contextmanager
def _file_beside() -> Iterator[None]:
    path = Path(connection.settings_dict["NAME"])
    scratch = path.with_name(f"{path.name}.restoring")
    connection.close()
    _remove(scratch)  # left behind by a restore that was killed
    connection.settings_dict["NAME"] = str(scratch)
    try:
        yield
        with connection.cursor() as cursor:
            cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        connection.close()
        with scratch.open("rb") as file:
            os.fsync(file.fileno())
        _remove(path)
        scratch.rename(path)
        sync_folder(path.parent)
    finally:
        connection.close()
        connection.settings_dict["NAME"] = str(path)
        _remove(scratch)


def _remove(path: Path) -> None:
    for suffix in ("", "-wal", "-shm"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)


def _listed(migrations: set[Migration]) -> str:
    names = sorted(".".join(migration) for migration in migrations)
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
