"""Validated rows on their way to the model, and how several requests become one batch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from serving.model_server.column_types import ColumnType


@dataclass(frozen=True)
class Column:
    """One column of a signature; unnamed ones go by position."""

    name: str | None
    type: ColumnType
    required: bool


@dataclass(frozen=True)
class Table:
    """Rows of a column-based signature: one list of converted values per column, None for null."""

    columns: Sequence[Column]
    values: list[list[Any]]
    nulls: frozenset[int]  # the columns that hold a null
    rows: int

    def frame(self) -> pd.DataFrame:
        """The rows with the dtypes of the signature (an optional integer with nulls becomes double, as in
        pandas).
        """
        data = {
            index if column.name is None else column.name: column.type.series(
                self.values[index], index in self.nulls
            )
            for index, column in enumerate(self.columns)
        }
        return pd.DataFrame(data, copy=False)

    def matrix(self, dtype: Any) -> np.ndarray:
        """The rows as one array, for models that need no column names; null becomes NaN."""
        return np.ascontiguousarray(np.array(self.values, dtype=dtype).T)

    @cached_property
    def data(self) -> pd.DataFrame:
        return self.frame()

    @staticmethod
    def join(tables: Sequence[Table]) -> Table:
        values = [
            [value for table in tables for value in table.values[i]] for i in range(len(tables[0].values))
        ]
        nulls = frozenset().union(*(table.nulls for table in tables))
        return Table(tables[0].columns, values, nulls, sum(table.rows for table in tables))


@dataclass(frozen=True)
class Tensors:
    """Arrays of a tensor-based signature by name; a single unnamed one has the name None."""

    arrays: dict[str | None, np.ndarray]
    rows: int

    @property
    def data(self) -> Any:
        """An array for an unnamed tensor, else a mapping, as python_function gives them to a model."""
        return self.arrays.get(None, self.arrays)

    @staticmethod
    def join(many: Sequence[Tensors]) -> Tensors:
        arrays = {name: np.concatenate([one.arrays[name] for one in many]) for name in many[0].arrays}
        return Tensors(arrays, sum(one.rows for one in many))


Inputs = Table | Tensors


def join(many: Sequence[Inputs]) -> Inputs:
    """Several requests' rows as one; all come from the same signature."""
    return many[0] if len(many) == 1 else type(many[0]).join(many)  # type: ignore[arg-type]
