"""A model's signature, enforced: a request either fits it exactly or is refused by a sentence naming the
column.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from core.sentences import sentence as _
from serving.model_server.column_types import ColumnType, Mismatch, each
from serving.model_server.errors import CannotLoad, Invalid, TooLarge, described
from serving.model_server.inputs import Column, Inputs, Table, Tensors
from serving.model_server.nested_types import column_type
from serving.model_server.params import Params
from serving.model_server.tensors import TensorSpec, tensor_spec

HOW_TO_LOG = _(
    "The model was logged without a signature. Log one: "
    "signature = mlflow.models.infer_signature(X, model.predict(X)), then "
    "log_model(..., signature=signature)."
)


class Signature:
    """What a model takes: inputs by column or by tensor, and params."""

    def __init__(self, written: dict[str, Any] | None) -> None:
        if written is None:
            raise CannotLoad(HOW_TO_LOG)
        try:
            self.inputs = _input_schema(written["inputs"])
            self.params = Params(written.get("params") or [])
        except (KeyError, TypeError, ValueError, AttributeError, IndexError, RecursionError) as error:
            raise CannotLoad(
                _(
                    "The signature holds what this server does not know (%s); "
                    "log it again with mlflow.models.infer_signature."
                )
                % described(error)
            ) from None


class ColumnSchema:
    """A column-based signature; every request becomes a Table with its columns in this order."""

    joinable = True

    def __init__(self, columns: Sequence[Column]) -> None:
        self.columns = list(columns)
        self.names = [column.name for column in columns]
        self.positions = {name: index for index, name in enumerate(self.names)}
        self.named = None not in self.positions
        if self.named and len(self.positions) != len(self.names):
            raise CannotLoad(
                _("The signature has two columns of one name; rename one and log the model again.")
            )

    def from_split(self, names: list[str] | None, rows: list[list[Any]]) -> Table:
        """Rows with their column names given once."""
        places = self._places(names)
        width = len(self.names) if names is None else len(names)
        for number, row in enumerate(rows):
            if type(row) is not list or len(row) != width:
                found = f"{len(row)} values" if type(row) is list else "no array"
                raise Invalid(f"Row {number + 1} has {found} where {width} columns were announced.")
        columns = list(zip(*rows, strict=True)) if rows else []
        return self._table([None if place is None else columns[place] for place in places], len(rows))

    def from_records(self, records: list[dict[Any, Any]]) -> Table:
        """Rows as objects; an optional column may be left out of any of them."""
        self._need_names()
        for number, record in enumerate(records):
            if type(record) is not dict:
                raise Invalid(f"Row {number + 1} is not an object with column names.")
            if record.keys() != self.positions.keys():
                self._check_names(record.keys(), f"Row {number + 1}: ")
        return self._table([[record.get(name) for record in records] for name in self.names], len(records))

    def from_columns(self, columns: dict[str, list[Any]]) -> Table:
        """One array per column name."""
        self._need_names()
        self._check_names(columns.keys(), "")
        for name, values in columns.items():
            if type(values) is not list:
                raise Invalid(f'Column "{name}" must be an array with one value per row.')
        sizes = {len(values) for values in columns.values()}
        if len(sizes) != 1:
            raise Invalid("The columns have different numbers of values.")
        return self._table([columns.get(str(name)) for name in self.names], sizes.pop())

    def from_values(self, values: list[Any]) -> Table:
        """What "inputs" and "instances" hold as an array: records, or for unnamed columns rows or single
        values.
        """
        if self.named:
            if values and type(values[0]) is not dict:
                raise Invalid(
                    f"The model has named columns ({_some(self.names)}); send each row as an object."
                )
            return self.from_records(values)
        if len(self.names) == 1 and (not values or type(values[0]) is not list):
            return self._table([values], len(values))
        return self.from_split(None, values)

    def from_csv(self, names: list[str], rows: list[list[str]]) -> Table:
        """Rows of text; each cell is read by its column's type, and an empty cell is null."""
        self._need_names()
        places = self._places(names)
        for number, row in enumerate(rows):
            if len(row) != len(names):
                raise Invalid(f"Row {number + 1} has {len(row)} cells where the header has {len(names)}.")
        columns = [None if place is None else [row[place] or None for row in rows] for place in places]
        return self._table(columns, len(rows), text=True)

    def _table(self, columns: Sequence[Sequence[Any] | None], rows: int, *, text: bool = False) -> Table:
        values, nulls = [], set()
        for index, (column, given) in enumerate(zip(self.columns, columns, strict=True)):
            given = [None] * rows if given is None else given
            convert = _from_text(column.type) if text else column.type.convert
            converted, has_null = _converted(column, given, convert, self._label(index))
            values.append(converted)
            if has_null:
                nulls.add(index)
        return Table(self.columns, values, frozenset(nulls), rows)

    def _label(self, index: int) -> str:
        name = self.names[index]
        return f"Column {index + 1}" if name is None else f'Column "{name}"'

    def _need_names(self) -> None:
        if not self.named:
            raise Invalid(
                'The model\'s columns have no names; send {"inputs": [[…], …]} in the order of the signature.'
            )

    def _places(self, names: list[str] | None) -> Sequence[int | None]:
        """Where each column of the signature stands in a request."""
        if names == self.names:
            return range(len(self.names))
        if not self.named:
            if names is not None and names != list(range(len(self.names))):
                raise Invalid(
                    f"The model takes {len(self.names)} columns without names; leave out the column names."
                )
            return range(len(self.names))
        if names is None:
            raise Invalid(f"The column names are missing; the model takes {_some(self.names)}.")
        given = {name: place for place, name in enumerate(names)}
        if len(given) != len(names):
            raise Invalid("A column name is given twice; send each column once.")
        self._check_names(names, "")
        return [given.get(str(name)) for name in self.names]

    def _check_names(self, given: Any, where: str) -> None:
        given = set(given)
        missing = [column.name for column in self.columns if column.required and column.name not in given]
        if missing:
            raise Invalid(f"{where}Missing column{_s(missing)} {_some(missing)}.")
        unknown = sorted(str(name) for name in given if name not in self.positions)
        if unknown:
            raise Invalid(
                f"{where}Unknown column{_s(unknown)} {_some(unknown)}; the model takes {_some(self.names)}."
            )


class TensorSchema:
    """A tensor-based signature: one unnamed tensor, or several by name."""

    def __init__(self, specs: Sequence[TensorSpec]) -> None:
        self.specs = {spec.name: spec for spec in specs}
        self.joinable = all(spec.joinable for spec in specs)
        if len(self.specs) != len(specs) or (None in self.specs and len(specs) > 1):
            raise CannotLoad(_("The signature has several tensors without a name of their own; name each."))

    def from_columns(self, named: dict[str, Any]) -> Tensors:
        """One nested array per tensor name."""
        if None in self.specs:
            raise Invalid("The model takes one tensor without a name; send a nested array.")
        known = [name for name in self.specs if name is not None]
        if missing := [name for name in known if name not in named]:
            raise Invalid(f"Missing tensor{_s(missing)} {_some(missing)}.")
        if unknown := sorted(named.keys() - self.specs.keys()):
            raise Invalid(f"Unknown tensor{_s(unknown)} {_some(unknown)}; the model takes {_some(known)}.")
        return self._tensors({name: named[name] for name in known})

    def from_values(self, values: list[Any]) -> Tensors:
        """A nested array for a model of one tensor, or one object of tensor values per row."""
        if values and type(values[0]) is dict:
            if any(type(row) is not dict or row.keys() != values[0].keys() for row in values):
                raise Invalid("Every row must be an object with the same tensor names.")
            return self.from_columns({name: [row[name] for row in values] for name in values[0]})
        if len(self.specs) > 1:
            raise Invalid(f"The model takes the tensors {_some(list(self.specs))}; send each by its name.")
        return self._tensors(dict.fromkeys(self.specs, values))

    def from_split(self, names: list[str] | None, rows: list[list[Any]]) -> Tensors:
        """Rows of a single two-dimensional tensor."""
        if None not in self.specs or (names is not None and names != list(range(len(names)))):
            raise Invalid('The model takes tensors, not named columns; send them under "inputs".')
        return self.from_values(rows)

    def from_records(self, records: list[dict[str, Any]]) -> Inputs:
        raise Invalid('The model takes tensors, not named columns; send them under "inputs".')

    def from_csv(self, names: list[str], rows: list[list[str]]) -> Inputs:
        raise Invalid('The model takes tensors, not named columns; send JSON with "inputs".')

    def _tensors(self, values: dict[str | None, Any]) -> Tensors:
        arrays = {name: self.specs[name].parse(value) for name, value in values.items()}
        sizes = {len(array) for array in arrays.values()}
        if len(sizes) != 1:
            raise Invalid("The tensors have different numbers of rows.")
        return Tensors(arrays, sizes.pop())


Schema = ColumnSchema | TensorSchema


def check_rows(count: int, max_rows: int) -> None:
    """Refuse an empty request and one of too many rows, before any value is looked at."""
    if not count:
        raise Invalid("The request holds no rows.")
    if count > max_rows:
        raise TooLarge(f"The request has more rows than this model takes: at most {max_rows} in one.")


def _input_schema(written: list[dict[str, Any]]) -> Schema:
    tensors = [spec["type"] == "tensor" for spec in written]
    if all(tensors):
        return TensorSchema([tensor_spec(spec) for spec in written])
    if any(tensors):
        raise CannotLoad(_("The signature mixes columns and tensors; use one of them."))
    if len({"name" in spec for spec in written}) > 1:
        raise CannotLoad(_("The signature mixes columns with and without names; use one of them."))
    return ColumnSchema(
        [Column(spec.get("name"), column_type(spec), bool(spec.get("required", True))) for spec in written]
    )


def _from_text(kind: ColumnType) -> Callable[[Sequence[str]], Sequence[Any]]:
    return lambda cells: each(kind.parse_text, cells)


def _converted(
    column: Column, given: Sequence[Any], convert: Callable[[Sequence[Any]], Sequence[Any]], label: str
) -> tuple[list[Any], bool]:
    """A column's values converted around its nulls, and whether it has any."""
    has_null = None in given
    present = [row for row, value in enumerate(given) if value is not None] if has_null else range(len(given))
    if has_null and column.required:
        missing = next(row for row, value in enumerate(given) if value is None)
        raise Invalid(f"{label}, row {missing + 1}: null is not allowed, the column is required.")
    try:
        converted = convert([given[row] for row in present] if has_null else given)
    except Mismatch as mismatch:
        raise Invalid(f"{label}, row {present[mismatch.row] + 1}: {mismatch.reason}.") from None
    if not has_null:
        return list(converted), False
    filled: list[Any] = [None] * len(given)
    for row, value in zip(present, converted, strict=True):
        filled[row] = value
    return filled, True


def _s(names: Sequence[Any]) -> str:
    return "s" if len(names) > 1 else ""


def _some(names: Sequence[Any], most: int = 10) -> str:
    listed = ", ".join(f'"{str(name)[:100]}"' for name in names[:most])
    return listed + (f" and {len(names) - most} more" if len(names) > most else "")
