"""Tables as lines of JSON, the same whichever engine they come from or go to.

Rows are read and written below the models: no default, no `auto_now`, no translation of sentences comes between.
Columns of JSON travel as the text that the database has, so that its NULL and JSON's null stay two things.
"""

import gzip
import io
import json
from collections.abc import Iterable, Iterator
from datetime import date, datetime, time
from decimal import Decimal
from itertools import chain, islice
from typing import Any, BinaryIO
from uuid import UUID

from django.apps import apps
from django.core.management.color import no_style
from django.db import DatabaseError, DataError, connection, models
from django.db.models.functions import Cast

from core.operations.backups.errors import BackupError

# What is buffered before it is compressed: a bound on memory, whatever a table holds.
CHUNK_BYTES = 4 * 1024**2
ROWS_PER_READ = 1000
# Tables have some twenty columns, and SQLite takes 32,766 values in a statement.
ROWS_PER_INSERT = 200

AS_IS = frozenset(
    {
        "AutoField", "BigAutoField", "SmallAutoField", "IntegerField", "BigIntegerField", "SmallIntegerField",
        "PositiveIntegerField", "PositiveBigIntegerField", "PositiveSmallIntegerField", "FloatField",
        "BooleanField", "CharField", "TextField", "SlugField", "JSONField",
    }
)  # fmt: skip
PARSED: dict[str, models.Field] = {
    "DateTimeField": models.DateTimeField(),
    "DateField": models.DateField(),
    "TimeField": models.TimeField(),
    "DecimalField": models.DecimalField(max_digits=1000, decimal_places=100),
    "UUIDField": models.UUIDField(),
}


def kept_models() -> list[type[models.Model]]:
    """Every model with a table of ours, tables of many-to-many relations included."""
    found = apps.get_models(include_auto_created=True)
    return [model for model in found if model._meta.managed and not model._meta.proxy]


def columns_of(model: type[models.Model]) -> list[list[str]]:
    """[column, type] of each column. Raises BackupError for a type that nobody taught this module."""
    columns = []
    for field in model._meta.concrete_fields:
        kind = _kind(field)
        if kind not in AS_IS and kind not in PARSED:
            raise BackupError(f"{field} is a {kind}, which backups cannot keep: add it to {__name__}.")
        columns.append([str(field.column), kind])
    return columns


def dump(model: type[models.Model]) -> Iterator[tuple[bytes, int]]:
    """The model's rows as compressed pieces, with the number of rows in each."""
    fields = [
        Cast(field.attname, models.TextField()) if _kind(field) == "JSONField" else models.F(field.attname)
        for field in model._meta.concrete_fields
    ]
    rows = model._base_manager.order_by("pk").values_list(*fields).iterator(chunk_size=ROWS_PER_READ)
    encode = json.JSONEncoder(default=_written, separators=(",", ":")).encode
    piece, count = io.StringIO(), 0
    for row in rows:
        piece.write(encode(row) + "\n")
        count += 1
        if piece.tell() >= CHUNK_BYTES:
            yield _compressed(piece), count
            piece, count = io.StringIO(), 0
    if count:
        yield _compressed(piece), count


def load(table: str, columns: list[list[str]], pieces: Iterable[BinaryIO]) -> int:
    """Insert dumped rows; returns how many. Raises BackupError naming the table when the database takes them not."""
    _refuse_unknown(table, columns)
    quote = connection.ops.quote_name
    names = ", ".join(quote(name) for name, _kind in columns)
    into = f"{quote(table)} ({names})"
    parsers = [(index, PARSED[kind]) for index, (_name, kind) in enumerate(columns) if kind in PARSED]
    insert = _copy if connection.vendor == "postgresql" else _insert
    count = 0
    try:
        with connection.cursor() as cursor:
            for piece in pieces:
                rows = (_parsed(json.loads(line), parsers) for line in gzip.GzipFile(fileobj=piece))
                count += insert(cursor, into, rows)
    except (DatabaseError, DataError, ValueError) as error:
        raise BackupError(f"Table {table}, after row {count}: {str(error).strip()}") from error
    return count


def reset_sequences() -> None:
    """Let new rows count on after the restored ones, in every table that is there by now."""
    there = set(connection.introspection.table_names())
    counted = [model for model in kept_models() if model._meta.db_table in there and model._meta.auto_field]
    # A sequence cannot stand at 0, the number of MLflow's default experiment.
    begun = [model for model in counted if model._base_manager.filter(pk__gt=0).exists()]
    with connection.cursor() as cursor:
        for statement in connection.ops.sequence_reset_sql(no_style(), begun):
            cursor.execute(statement)


def _copy(cursor: Any, into: str, rows: Iterator[list[Any]]) -> int:
    """PostgreSQL's own way in: a third of the time of INSERT."""
    count = 0
    with connection.wrap_database_errors, cursor.copy(f"COPY {into} FROM STDIN") as copy:
        for row in rows:
            copy.write_row(row)
            count += 1
    return count


def _insert(cursor: Any, into: str, rows: Iterator[list[Any]]) -> int:
    count = 0
    while batch := list(islice(rows, ROWS_PER_INSERT)):
        marks = ", ".join(["(" + ", ".join(["%s"] * len(row)) + ")" for row in batch])
        cursor.execute(f"INSERT INTO {into} VALUES {marks}", list(chain.from_iterable(batch)))
        count += len(batch)
    return count


def _kind(field: models.Field) -> str:
    """The type of the column; that of a foreign key is the type of what it points at."""
    while isinstance(field, models.ForeignKey):
        field = field.target_field
    return field.get_internal_type()


def _written(value: Any) -> str:
    if isinstance(value, (datetime, date, time)):
        return value.isoformat()
    if isinstance(value, (Decimal, UUID)):
        return str(value)
    raise TypeError(f"{type(value)} is in none of the columns that backups keep.")


def _compressed(piece: io.StringIO) -> bytes:
    # A quarter of the time of the default level, for a file some percent larger.
    return gzip.compress(piece.getvalue().encode(), compresslevel=2, mtime=0)


def _parsed(row: list[Any], parsers: list[tuple[int, models.Field]]) -> list[Any]:
    for index, field in parsers:
        row[index] = field.get_db_prep_save(field.to_python(row[index]), connection)
    return row


def _refuse_unknown(table: str, columns: list[list[str]]) -> None:
    """Names become part of a statement, so only those of the schema that was just made are taken."""
    with connection.cursor() as cursor:
        if table not in connection.introspection.table_names(cursor):
            raise BackupError(f"The backup has a table “{table}” that its release does not.")
        known = {column.name for column in connection.introspection.get_table_description(cursor, table)}
    if unknown := [name for name, kind in columns if name not in known or kind not in AS_IS | PARSED.keys()]:
        raise BackupError(f"The backup's table {table} has columns that its release does not: {unknown}.")
