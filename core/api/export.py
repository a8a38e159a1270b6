"""`?export=csv|json`: the filtered list as a file, streamed row by row."""

import csv
import json
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from django.http import StreamingHttpResponse
from rest_framework.exceptions import ValidationError
from rest_framework.utils.encoders import JSONEncoder

FORMATS = ("csv", "json")
# A spreadsheet runs a cell that starts with one of these (OWASP, "CSV Injection").
FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")


def export(rows: Iterable[dict[str, Any]], *, format: str, name: str) -> StreamingHttpResponse:
    """Stream `rows` (all of the same keys) as a download called `name`.`format`."""
    writers: dict[str, tuple[Callable[[Iterable[dict[str, Any]]], Iterator[str]], str]] = {
        "csv": (csv_lines, "text/csv; charset=utf-8"),
        "json": (_json, "application/json"),
    }
    if format not in writers:
        raise ValidationError({"export": f"Cannot export as “{format}”. Allowed: {', '.join(FORMATS)}."})
    write, content_type = writers[format]
    return StreamingHttpResponse(
        write(rows),
        content_type=content_type,
        headers={"Content-Disposition": f'attachment; filename="{name}.{format}"'},
    )


class _Echo:
    """A file that hands back what is written, so that csv can write into a stream."""

    def write(self, text: str) -> str:
        return text


def csv_lines(rows: Iterable[dict[str, Any]]) -> Iterator[str]:
    """A header, then a line a row; nothing for no rows."""
    writer = csv.writer(_Echo())
    header_written = False
    for row in rows:
        if not header_written:
            yield writer.writerow(row)
            header_written = True
        yield writer.writerow([_cell(value) for value in row.values()])


def _cell(value: Any) -> Any:
    if isinstance(value, (dict, list)):
        return json.dumps(value, cls=JSONEncoder, ensure_ascii=False)
    if isinstance(value, str) and value.startswith(FORMULA_STARTS):
        return f"'{value}"
    return value


def _json(rows: Iterable[dict[str, Any]]) -> Iterator[str]:
    yield "["
    for index, row in enumerate(rows):
        yield (",\n" if index else "\n") + json.dumps(row, cls=JSONEncoder, ensure_ascii=False)
    yield "\n]\n"
