"""Arrays, objects and maps of column types, checked to their leaves."""

from __future__ import annotations

from typing import Any

from serving.model_server.column_types import SCALARS, Anything, ColumnType, Mismatch, shown


class Array(ColumnType):
    def __init__(self, items: ColumnType) -> None:
        self.items, self.name = items, f"array of {items.name}"

    def parse(self, value: Any) -> list[Any]:
        if type(value) is not list:
            raise self.wrong(value)
        if None in value and not isinstance(self.items, Anything):
            raise Mismatch(f"{shown(value)} holds null; the signature asks for {self.name}")
        return list(self.items.convert(value))


class Object(ColumnType):
    name = "object"

    def __init__(self, properties: dict[str, tuple[ColumnType, bool]]) -> None:
        self.properties = properties

    def parse(self, value: Any) -> dict[str, Any]:
        if type(value) is not dict:
            raise self.wrong(value)
        if unknown := value.keys() - self.properties.keys():
            raise Mismatch(f'the object has the unknown property "{min(unknown)}"')
        return {name: self._property(name, value) for name in self.properties if self._given(name, value)}

    def _given(self, name: str, value: dict[str, Any]) -> bool:
        given = value.get(name) is not None
        if not given and self.properties[name][1]:
            raise Mismatch(f'the object lacks its property "{name}"')
        return given

    def _property(self, name: str, value: dict[str, Any]) -> Any:
        try:
            return self.properties[name][0].parse(value[name])
        except Mismatch as mismatch:
            raise Mismatch(f'property "{name}": {mismatch.reason}') from None


class Map(ColumnType):
    def __init__(self, values: ColumnType) -> None:
        self.values, self.name = values, f"map of {values.name}"

    def parse(self, value: Any) -> dict[str, Any]:
        if type(value) is not dict:
            raise self.wrong(value)
        if None in value.values() and not isinstance(self.values, Anything):
            raise Mismatch(f"{shown(value)} holds null; the signature asks for {self.name}")
        return dict(zip(value, self.values.convert(list(value.values())), strict=True))


def column_type(written: dict[str, Any]) -> ColumnType:
    """The type a signature writes as {"type": …, "items" | "properties" | "values": …}. Raises KeyError,
    TypeError.
    """
    name = written["type"]
    if name == "array":
        return Array(column_type(written["items"]))
    if name == "map":
        return Map(column_type(written["values"]))
    if name == "object":
        return Object(
            {
                key: (column_type(value), bool(value.get("required", True)))
                for key, value in written["properties"].items()
            }
        )
    return SCALARS[name]
