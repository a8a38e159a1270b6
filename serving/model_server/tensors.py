"""Nested JSON arrays to NumPy arrays of exactly the shape and type that a tensor signature states."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import chain
from typing import Any

import numpy as np

from core.sentences import sentence as _
from serving.model_server.column_types import SCALARS, ColumnType, Floats, Integers, Mismatch
from serving.model_server.errors import CannotLoad, Invalid, shortened

FLOATS = {
    "float16": Floats("float16", "float16", 2**11, 65504.0),
    "float32": SCALARS["float"],
    "float64": SCALARS["double"],
}


@dataclass(frozen=True)
class TensorSpec:
    """One tensor: name (None for a single unnamed one), element type and shape (-1 is any size)."""

    name: str | None
    items: ColumnType
    dtype: np.dtype
    shape: tuple[int, ...]

    @property
    def label(self) -> str:
        return "The input" if self.name is None else f'Tensor "{self.name}"'

    @property
    def joinable(self) -> bool:
        """Whether the first dimension counts rows, so that requests can be put behind one another."""
        return self.shape[0] == -1

    def parse(self, value: Any) -> np.ndarray:
        """A nested JSON array as an array of this shape and type; null is NaN, in floats only."""
        flat, shape = self._flattened(value)
        flat = self._converted(flat, shape)
        return np.array(flat, dtype=self.dtype).reshape(shape)

    def _flattened(self, value: Any) -> tuple[list[Any], list[int]]:
        shape: list[int] = []
        level = [value]
        for expected in self.shape:
            if set(map(type, level)) - {list}:
                raise self._misshapen(f"a value stands where an array is wanted at depth {len(shape) + 1}")
            sizes = set(map(len, level))
            if len(sizes) != 1:
                raise self._misshapen(f"the arrays at depth {len(shape) + 1} are of different lengths")
            size = sizes.pop()
            if expected not in (-1, size):
                raise self._misshapen(f"dimension {len(shape) + 1} is {size}")
            if not size:
                raise self._misshapen(f"dimension {len(shape) + 1} is empty")
            shape.append(size)
            level = list(chain.from_iterable(level))
        return level, shape

    def _converted(self, flat: list[Any], shape: list[int]) -> Any:
        nullable = isinstance(self.items, Floats)
        kinds = set(map(type, flat))
        try:
            if list in kinds:
                raise Mismatch("an array stands where a value is wanted")
            if type(None) in kinds and nullable:
                self.items.convert([value for value in flat if value is not None])
                return [np.nan if value is None else value for value in flat]
            return self.items.convert(flat)
        except Mismatch as mismatch:
            row = mismatch.row // max(1, int(np.prod(shape[1:])))
            raise Invalid(f"{self.label} ({self._wanted()}), row {row + 1}: {mismatch.reason}.") from None

    def _misshapen(self, reason: str) -> Invalid:
        return Invalid(f"{self.label} must have the shape {self._wanted()}: {reason}.")

    def _wanted(self) -> str:
        return f"({', '.join('any' if size == -1 else str(size) for size in self.shape)}) of {self.dtype}"


def tensor_spec(written: dict[str, Any]) -> TensorSpec:
    """A tensor as a signature writes it. Raises CannotLoad for an element type JSON cannot carry."""
    spec = written["tensor-spec"]
    shape = tuple(int(size) for size in spec["shape"])
    if not shape:
        raise CannotLoad(
            _("The signature has a tensor without dimensions; log one whose first dimension counts rows.")
        )
    items, dtype = _items(str(spec["dtype"]))
    return TensorSpec(written.get("name"), items, dtype, shape)


def _items(name: str) -> tuple[ColumnType, np.dtype]:
    if name in FLOATS:
        return FLOATS[name], np.dtype(name)
    if name == "bool":
        return SCALARS["boolean"], np.dtype(bool)
    if name in ("str", "string", "object") or np.dtype(name).kind == "U":
        return SCALARS["string"], np.dtype(object)
    if np.dtype(name).kind in "iu":
        return Integers(name, name), np.dtype(name)
    raise CannotLoad(
        _("The signature has a tensor of %s, which requests in JSON cannot carry.") % shortened(name)
    )
