"""The params part of a signature: named values beside the rows that change how a model predicts."""

from __future__ import annotations

from typing import Any

from serving.model_server.column_types import ColumnType, Mismatch
from serving.model_server.errors import Invalid
from serving.model_server.nested_types import column_type


class Param:
    """One param: a single value, or a list where the signature gives it a shape."""

    def __init__(self, written: dict[str, Any]) -> None:
        self.name: str = written["name"]
        self.type: ColumnType = column_type(written)
        self.shape: list[int] | None = written.get("shape")
        self.default = written.get("default")

    def parse(self, value: Any) -> Any:
        """The value as this param's type. Raises Invalid."""
        try:
            if self.shape is None:
                return self.type.parse(value)
            if type(value) is not list or (self.shape[0] not in (-1, len(value))):
                raise Mismatch(
                    "an array is wanted" if self.shape[0] == -1 else f"{self.shape[0]} values are wanted"
                )
            return list(self.type.convert(value))
        except Mismatch as mismatch:
            raise Invalid(f'Param "{self.name}": {mismatch.reason}.') from None


class Params:
    """All params of a signature."""

    def __init__(self, written: list[dict[str, Any]]) -> None:
        self.known = {param["name"]: Param(param) for param in written}

    def parse(self, given: Any, *, taken: bool = True) -> dict[str, Any]:
        """Given values checked and the rest filled with defaults.

        `taken` says whether the loaded model can use params at all; if not, sending any is refused, since
        they would change nothing.
        """
        if given is None:
            return self._defaults() if taken else {}
        if type(given) is not dict:
            raise Invalid('"params" must be an object.')
        if given and not taken:
            raise Invalid('This model takes no params; leave "params" out.')
        if unknown := sorted(given.keys() - self.known.keys()):
            raise Invalid(f'Unknown param "{unknown[0]}"; the model takes {", ".join(self.known) or "none"}.')
        values = self._defaults() if taken else {}
        return values | {name: self.known[name].parse(value) for name, value in given.items()}

    def _defaults(self) -> dict[str, Any]:
        """Defaults as the signature writes them: MLflow keeps them as JSON values, a datetime as text."""
        defaults = {}
        for name, param in self.known.items():
            defaults[name] = None if param.default is None else param.parse(param.default)
        return defaults
