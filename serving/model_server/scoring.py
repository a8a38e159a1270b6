"""MLflow's scoring formats: request bytes to validated inputs.

JSON objects with exactly one of dataframe_split, dataframe_records, instances or inputs, and params beside
it; or CSV with a header. The formats:
https://mlflow.org/docs/latest/genai/serving/#inference-server-specification
"""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass
from itertools import islice
from typing import Any

import orjson

from serving.model_server.errors import Invalid, Refused
from serving.model_server.inputs import Inputs
from serving.model_server.signature import Signature, check_rows

FORMATS = ("dataframe_split", "dataframe_records", "instances", "inputs")
SPLIT_KEYS = {"columns", "data", "index"}
MAX_CELL_CHARACTERS = 1 << 20


@dataclass(frozen=True)
class Scoring:
    """Turns request bodies into inputs for one model."""

    signature: Signature
    max_rows: int
    takes_params: bool

    def parse(self, body: bytes, content_type: str) -> tuple[Inputs, dict[str, Any]]:
        """Inputs and params of a request. Raises Refused: 415 for another media type, 413 for too many rows,
        400.
        """
        if media_type(content_type) == "text/csv":
            return self._from_csv(body), self.signature.params.parse(None, taken=self.takes_params)
        return self.from_json(body)

    def from_json(self, body: bytes) -> tuple[Inputs, dict[str, Any]]:
        """Inputs and params of a JSON body."""
        content = _decoded(body)
        name = _format(content)
        inputs = getattr(self, f"_{name}")(content[name])
        return inputs, self.signature.params.parse(content.get("params"), taken=self.takes_params)

    def _dataframe_split(self, split: Any) -> Inputs:
        if type(split) is not dict or type(split.get("data")) is not list or split.keys() - SPLIT_KEYS:
            raise Invalid('"dataframe_split" must be {"columns": […], "data": [[…], …]}.')
        names, rows, index = split.get("columns"), split["data"], split.get("index")
        if names is not None and (type(names) is not list or not set(map(type, names)) <= {str, int}):
            raise Invalid('"columns" must be an array of column names.')
        if index is not None and (type(index) is not list or len(index) != len(rows)):
            raise Invalid(
                '"index" must have one label per row; it may be left out, predictions keep the row order.'
            )
        check_rows(len(rows), self.max_rows)
        return self.signature.inputs.from_split(names, rows)

    def _dataframe_records(self, records: Any) -> Inputs:
        if type(records) is not list:
            raise Invalid('"dataframe_records" must be an array of objects.')
        check_rows(len(records), self.max_rows)
        return self.signature.inputs.from_records(records)

    def _instances(self, values: Any) -> Inputs:
        if type(values) is not list:
            raise Invalid('"instances" must be an array with one element per row.')
        check_rows(len(values), self.max_rows)
        return self.signature.inputs.from_values(values)

    def _inputs(self, values: Any) -> Inputs:
        if type(values) is list:
            return self._instances(values)
        if type(values) is not dict:
            raise Invalid('"inputs" must be an array, or an object of column or tensor names.')
        check_rows(
            max((len(value) for value in values.values() if type(value) is list), default=1), self.max_rows
        )
        return self.signature.inputs.from_columns(values)

    def _from_csv(self, body: bytes) -> Inputs:
        csv.field_size_limit(MAX_CELL_CHARACTERS)
        try:
            text = body.decode("utf-8-sig")
            reader = filter(None, csv.reader(io.StringIO(text, newline=""), strict=True))
            # The header and one row more than there may be: millions of short rows would not fit into memory.
            lines = list(islice(reader, self.max_rows + 2))
        except (UnicodeDecodeError, csv.Error) as error:
            raise Invalid(f"The body is not valid CSV in UTF-8: {error}.") from None
        if not lines:
            raise Invalid("The CSV is empty; the first line must hold the column names.")
        check_rows(len(lines) - 1, self.max_rows)
        return self.signature.inputs.from_csv(lines[0], lines[1:])


def media_type(content_type: str) -> str:
    """The media type without its parameters. Raises Refused 415 for what cannot be read."""
    name, _, parameters = content_type.partition(";")
    name = name.strip().lower()
    if name not in ("application/json", "text/csv"):
        raise Refused(415, "unsupported_media_type", "Send application/json or text/csv as the Content-Type.")
    charset = parameters.lower().replace('"', "").replace(" ", "").partition("charset=")[2].partition(";")[0]
    if charset not in ("", "utf-8", "utf8", "us-ascii"):
        raise Refused(
            415, "unsupported_media_type", f"The charset {charset[:40]} is not supported; send UTF-8."
        )
    return name


def _decoded(body: bytes) -> dict[str, Any]:
    try:
        content = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        hint = " JSON has no NaN or Infinity; send null." if b"NaN" in body or b"Infinity" in body else ""
        raise Invalid(f"The body is not valid JSON: {error}.{hint}") from None
    if type(content) is not dict:
        raise Invalid(f"The body must be a JSON object with one of {', '.join(FORMATS)}.")
    return content


def _format(content: dict[str, Any]) -> str:
    names = [name for name in FORMATS if name in content]
    if len(names) != 1:
        raise Invalid(f"The body must have exactly one of {', '.join(FORMATS)}.")
    if unknown := sorted(content.keys() - {names[0], "params"}):
        raise Invalid(f'Unknown key "{unknown[0][:100]}" beside "{names[0]}".')
    return names[0]
