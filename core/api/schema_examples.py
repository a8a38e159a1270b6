"""Examples for the OpenAPI schema: put together from a word for each field, so that they agree with each other."""

from collections.abc import Mapping
from typing import Any

from core.api.export import csv_lines

Schema = dict[str, Any]
# For fields that have no word of their own.
PLAIN_VALUES = {"boolean": False, "integer": 1, "number": 0.5, "string": "text"}


class Examples:
    """Makes examples of schemas. `words` has values by field, as `name` or more closely as `Component.name`,
    and whole components.
    """

    def __init__(self, components: Schema, words: Mapping[str, Any]):
        self.components = components
        self.words = words

    def fill(self, paths: Schema) -> None:
        """Give each JSON and CSV body that has no example one."""
        for operations in paths.values():
            for operation in operations.values():
                for body in (operation.get("requestBody", {}), *operation["responses"].values()):
                    self._fill(body.get("content", {}))

    def _fill(self, content: Schema) -> None:
        for media_type, body in content.items():
            if {"example", "examples"} & set(body):
                continue
            if media_type == "application/json":
                body["example"] = self.of(body["schema"])
            elif media_type == "text/csv" and isinstance(content["application/json"].get("example"), Mapping):
                body["example"] = "".join(csv_lines(content["application/json"]["example"]["results"]))

    def of(self, schema: Schema, *, component: str = "", field: str = "") -> Any:
        """A value that the schema allows."""
        if "$ref" in schema:
            component = schema["$ref"].rpartition("/")[2]
            if component in self.words:
                return self.words[component]
            return self.of(self.components["schemas"][component], component=component)
        if "examples" in schema:
            return schema["examples"][0]
        for word in (f"{component}.{field}", field):
            if word in self.words:
                return self.words[word]
        for alternatives in ("oneOf", "anyOf", "allOf"):
            if alternatives in schema:
                return self.of(schema[alternatives][0], component=component, field=field)
        return self._by_type(schema, component, field)

    def _by_type(self, schema: Schema, component: str, field: str) -> Any:
        if "enum" in schema:
            return schema["enum"][0]
        kind = schema.get("type", "string")
        kind = kind[0] if isinstance(kind, list) else kind
        match kind:
            case "object":
                properties = schema.get("properties", {})
                return {
                    name: self.of(part, component=component, field=name) for name, part in properties.items()
                }
            case "array":
                return [self.of(schema["items"], component=component, field="")]
        return PLAIN_VALUES[kind]
