"""MLflow's column types: which JSON values each one accepts, and how they reach pandas.

Strict on purpose: "5" is not a number, 1.5 is not an integer, 1 is not a boolean. The only widening is from
an integer to a floating-point type that holds it exactly. Each type has a quick test for a whole list
(`fits`) and a slow `parse` for one value that says what is wrong; the slow one runs only after the quick one
said no.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any

import numpy as np
import orjson
import pandas as pd

EXACT_IN_DOUBLE = 2**53  # IEEE 754: every integer up to this size has its own double
EXACT_IN_FLOAT = 2**24
LARGEST_FLOAT = float(np.finfo(np.float32).max)
INTEGER_TEXT = re.compile(r"[+-]?\d{1,25}")
NUMBER_TEXT = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?")


class Mismatch(Exception):
    """A value that does not fit its type; `row` is its place in the list (from 0)."""

    def __init__(self, reason: str, row: int = 0) -> None:
        super().__init__(reason)
        self.reason, self.row = reason, row


def shown(value: Any) -> str:
    """A value as a person sent it, shortened, for an error message."""
    try:
        text = orjson.dumps(value).decode()
    except TypeError:
        text = str(value)
    return text if len(text) <= 60 else text[:57] + "…"


class ColumnType:
    """One type of the signature; `dtype` is what a column of it has in a DataFrame."""

    name = ""
    dtype: Any = object

    def fits(self, values: Sequence[Any], kinds: set[type]) -> bool:
        """Whether all values can be taken as they are; `kinds` are their Python types."""
        return False

    def parse(self, value: Any) -> Any:
        """One JSON value as this type. Raises Mismatch."""
        raise NotImplementedError

    def parse_text(self, text: str) -> Any:
        """One CSV cell as this type. Raises Mismatch."""
        raise Mismatch(f"a column of type {self.name} cannot be sent as CSV; send JSON")

    def convert(self, values: Sequence[Any]) -> Sequence[Any]:
        """A list of JSON values without nulls. Raises Mismatch with the row."""
        if not values or self.fits(values, set(map(type, values))):
            return values
        return each(self.parse, values)

    def series(self, values: list[Any], has_null: bool) -> Any:
        """What pandas gets for a column; `values` were converted and hold None for null."""
        column = np.empty(len(values), dtype=object)
        column[:] = values
        return column

    def wrong(self, value: Any) -> Mismatch:
        return Mismatch(f"{shown(value)} is {json_kind(value)}; the signature asks for {self.name}")


def each(parse: Callable[[Any], Any], values: Sequence[Any]) -> list[Any]:
    """Parse value by value, so that a Mismatch knows its row."""
    parsed = []
    for row, value in enumerate(values):
        try:
            parsed.append(parse(value))
        except Mismatch as mismatch:
            raise Mismatch(mismatch.reason, row) from None
    return parsed


def json_kind(value: Any) -> str:
    kinds = {
        bool: "a boolean",
        int: "an integer",
        float: "a number with a fraction",
        str: "text",
        list: "an array",
    }
    return "null" if value is None else kinds.get(type(value), "an object")


class Integers(ColumnType):
    def __init__(self, name: str, dtype: str) -> None:
        self.name, self.dtype = name, np.dtype(dtype)
        bounds = np.iinfo(self.dtype)
        self.lowest, self.highest = int(bounds.min), int(bounds.max)

    def fits(self, values: Sequence[Any], kinds: set[type]) -> bool:
        return kinds == {int} and min(values) >= self.lowest and max(values) <= self.highest

    def parse(self, value: Any) -> int:
        if type(value) is not int:
            raise self.wrong(value)
        if not self.lowest <= value <= self.highest:
            raise Mismatch(f"{value} does not fit {self.name} ({self.lowest} to {self.highest})")
        return value

    def parse_text(self, text: str) -> int:
        if not INTEGER_TEXT.fullmatch(text):
            raise Mismatch(f'"{text[:60]}" is not of type {self.name}')
        return self.parse(int(text))

    def series(self, values: list[Any], has_null: bool) -> Any:
        # pandas itself turns integers with gaps into doubles; so a model has seen them in training.
        return np.array(values, dtype=np.float64 if has_null else self.dtype)


class Floats(ColumnType):
    def __init__(self, name: str, dtype: str, exact: int, largest: float) -> None:
        self.name, self.dtype, self.exact, self.largest = name, np.dtype(dtype), exact, largest

    def fits(self, values: Sequence[Any], kinds: set[type]) -> bool:
        if kinds == {float} and self.largest == np.inf:
            return True
        bound = self.largest if kinds == {float} else self.exact
        return kinds <= {float, int} and min(values) >= -bound and max(values) <= bound

    def parse(self, value: Any) -> float:
        if type(value) not in (int, float):
            raise self.wrong(value)
        if abs(value) > self.largest:
            raise Mismatch(f"{value} does not fit {self.name}")
        if type(value) is int and abs(value) > self.exact and int(self.dtype.type(value)) != value:
            raise Mismatch(
                f"the integer {value} has no exact {self.name}; send {float(value)!r} if that will do"
            )
        return value

    def parse_text(self, text: str) -> float:
        if not NUMBER_TEXT.fullmatch(text) or float(text) in (np.inf, -np.inf):
            raise Mismatch(f'"{text[:60]}" is not of type {self.name}')
        return self.parse(float(text))

    def series(self, values: list[Any], has_null: bool) -> Any:
        return np.array(values, dtype=self.dtype)


class Boolean(ColumnType):
    name, dtype = "boolean", np.dtype(bool)

    def fits(self, values: Sequence[Any], kinds: set[type]) -> bool:
        return kinds == {bool}

    def parse(self, value: Any) -> bool:
        if type(value) is not bool:
            raise self.wrong(value)
        return value

    def parse_text(self, text: str) -> bool:
        if text.lower() not in ("true", "false"):
            raise Mismatch(f'"{text[:60]}" is not a boolean; write true or false')
        return text.lower() == "true"

    def series(self, values: list[Any], has_null: bool) -> Any:
        return np.array(values, dtype=object if has_null else bool)


class Text(ColumnType):
    name = "string"

    def fits(self, values: Sequence[Any], kinds: set[type]) -> bool:
        return kinds == {str}

    def parse(self, value: Any) -> str:
        if type(value) is not str:
            raise self.wrong(value)
        return value

    def parse_text(self, text: str) -> str:
        return text

    def series(self, values: list[Any], has_null: bool) -> Any:
        return pd.array(values, dtype="str")


class Binary(ColumnType):
    name = "binary"

    def parse(self, value: Any) -> bytes:
        if type(value) is not str:
            raise Mismatch(
                f"{shown(value)} is {json_kind(value)}; the signature asks for binary, as base64 text"
            )
        try:
            return base64.b64decode(value.replace("\n", ""), validate=True)
        except (binascii.Error, ValueError):
            raise Mismatch(f"{shown(value)} is not base64; the signature asks for binary") from None

    def parse_text(self, text: str) -> bytes:
        return self.parse(text)


class Datetime(ColumnType):
    """ISO 8601 text. A time with an offset becomes UTC, since MLflow's datetime carries no zone."""

    name, dtype = "datetime", np.dtype("datetime64[ns]")

    def parse(self, value: Any) -> datetime:
        if type(value) is not str:
            raise Mismatch(
                f"{shown(value)} is {json_kind(value)}; the signature asks for datetime, as ISO 8601 text"
            )
        try:
            when = datetime.fromisoformat(value)
            when = when.astimezone(UTC).replace(tzinfo=None) if when.tzinfo else when
        except (ValueError, OverflowError):
            raise Mismatch(
                f"{shown(value)} is not a date and time in ISO 8601 (2026-01-31T12:00:00)"
            ) from None
        if not 1678 <= when.year < 2262:  # what 64 bits of nanoseconds can hold
            raise Mismatch(f"{shown(value)} is outside 1678 to 2261, which datetime64[ns] can hold")
        return when

    def parse_text(self, text: str) -> datetime:
        return self.parse(text)

    def series(self, values: list[Any], has_null: bool) -> Any:
        return np.array(values, dtype=self.dtype)


class Anything(ColumnType):
    """MLflow's Any: whatever JSON says, unchanged."""

    name = "any"

    def parse(self, value: Any) -> Any:
        return value


SCALARS: dict[str, ColumnType] = {
    "boolean": Boolean(),
    "integer": Integers("integer", "int32"),
    "long": Integers("long", "int64"),
    "float": Floats("float", "float32", EXACT_IN_FLOAT, LARGEST_FLOAT),
    "double": Floats("double", "float64", EXACT_IN_DOUBLE, float("inf")),
    "string": Text(),
    "binary": Binary(),
    "datetime": Datetime(),
    "any": Anything(),
}
