"""What the OpenAPI schema says of every endpoint without being told: derived from the view itself.

A viewset gives its `noun`, `tag`, `inputs`, `answers` and `queries`, and its methods their docstrings. Operation ids,
summaries, parameters, errors, paging, exports and idempotency follow from them. `extend_schema` on a method is for
what is particular to it.
"""

import inspect
from typing import Any

import django_filters
from drf_spectacular.extensions import OpenApiFilterExtension
from drf_spectacular.openapi import AutoSchema as SpectacularAutoSchema
from rest_framework import serializers

from core.api import schema_authentication as schema_authentication  # registers itself
from core.api.idempotency import HEADER, IdempotentPosts
from core.api.schema_parts import errors, reference
from core.api.serializers import Number, StrictFields, Username
from core.api.views import Listed

Schema = dict[str, Any]

VERBS = {
    "list": "list",
    "create": "create",
    "retrieve": "get",
    "update": "replace",
    "partial_update": "update",
    "destroy": "delete",
}
CHANGES = {"POST", "PUT", "PATCH", "DELETE"}
ANSWERED = {
    "200": "What was asked for.",
    "201": "Made.",
    "204": "Done; there is nothing to say.",
}
# What a model asks of a column is no promise of an answer.
BOUNDS_OF_INPUT = {"readOnly", "maxLength", "minLength", "maximum", "minimum"}
NAMES_OF_NO_NUMBER = {"type": "string", "enum": list(Number.NAMES)}


class AutoSchema(SpectacularAutoSchema):
    """One operation of the schema, from a viewset made with `core.api.views`."""

    view: Any  # a Resource

    def get_operation(self, *args: Any, **kwargs: Any) -> Schema | None:
        operation = super().get_operation(*args, **kwargs)
        if operation and self.method == "POST" and self._keeps_answers():
            operation.setdefault("parameters", []).append(reference("parameters", HEADER))
        if operation and self._is_exported():
            operation["parameters"].append(reference("parameters", "export"))
        return operation

    @property
    def _action(self) -> str:
        return getattr(self.view, "action", None) or self.method.lower()

    def get_operation_id(self) -> str:
        if self._action in VERBS:
            noun = self.view.plural if self._action == "list" else self.view.noun
            words = f"{VERBS[self._action]} {noun}"
        elif self.method == "GET":
            words = f"get {self.view.noun} {self._action}"
        else:
            words = f"{self._action} {self.view.noun if self.view.detail else self.view.plural}"
        return words.lower().replace(" ", "_").replace("-", "_")

    def get_tags(self) -> list[str]:
        return [str(self.view.tag)]

    def get_summary(self) -> str:
        """The first line of the method's docstring; of a list, what it lists."""
        own = self._docstring().partition("\n")[0].rstrip(".")
        return own or f"List {self.view.plural}".replace("_", " ")

    def get_description(self) -> str:  # type: ignore[override]  # as drf-spectacular has it
        """The rest of the method's docstring, and for what has none, the viewset's own."""
        own = self._docstring().partition("\n")[2].strip()
        return own or inspect.cleandoc(type(self.view).__doc__ or "")

    def _docstring(self) -> str:
        handler = getattr(self.view, self._action)
        own = handler.__func__ is not Listed.list
        return inspect.cleandoc(handler.__doc__ or "") if own else ""

    # --- Parameters ---

    def _resolve_path_parameters(self, variables: list[str]) -> list[Schema]:
        known = self.view.path_parameters
        return [{"name": name, "in": "path", "required": True, **known[name]} for name in variables]

    def get_override_parameters(self) -> list[Any]:
        query = self.view.queries.get(self._action)
        return [query] if query else []

    def _process_override_parameters(self, direction: str = "request") -> Any:
        found = super()._process_override_parameters(direction)
        # Which of the API's renderings is wanted is the Accept header's question.
        return {key: parameter for key, parameter in found.items() if key != ("format", "query")}

    def _is_exported(self) -> bool:
        return isinstance(self.view, Listed) and self._action == "list"

    def _keeps_answers(self) -> bool:
        return isinstance(self.view, IdempotentPosts) and self.view.keeps_answers

    # --- Bodies ---

    def get_request_serializer(self) -> Any:
        return self.view.input_class()

    def _get_request_body(self, direction: str = "request") -> Schema | None:
        body = super()._get_request_body(direction) if self.get_request_serializer() else None
        if body and self.view.input_class():
            body["required"] = True  # an empty body is no JSON
        return body

    def get_response_serializers(self) -> Any:
        return self.view.answers.get(self._action, self.view.serializer_class)

    def _get_response_bodies(self, direction: Any = "response") -> Schema:
        answered = super()._get_response_bodies(direction)
        for code, response in answered.items():
            response["description"] = response["description"].replace("No response body", "") or ANSWERED.get(
                code, ""
            )
            response.setdefault("headers", {})["X-Request-Id"] = reference("headers", "X-Request-Id")
            if self.method == "POST" and self._keeps_answers():
                response["headers"]["Idempotent-Replay"] = reference("headers", "Idempotent-Replay")
        if self._is_exported():
            self._add_exports(answered["200"])
        return {**answered, **errors(*self._refusals())}

    def _add_exports(self, response: Schema) -> None:
        content = response["content"]
        page = content["application/json"]["schema"]
        row = self.resolve_serializer(self.get_response_serializers(), "response").ref
        content["application/json"]["schema"] = {"oneOf": [page, {"type": "array", "items": row}]}
        content["text/csv"] = {"schema": {"type": "string"}}
        response["description"] = "A page of the list; with `export`, all of it as a file."
        response["headers"]["Content-Disposition"] = reference("headers", "Content-Disposition")

    def _refusals(self) -> set[int]:
        """The statuses an operation may refuse with, by what it takes and does."""
        refusals = {400, 401, 403, 429, 503, *self.view.refusals.get(self._action, ())}
        if "{" in self.path:
            refusals.add(404)
        if self.method in CHANGES and (self.method != "POST" or self._keeps_answers() or self.view.detail):
            refusals.add(409)
        if self.view.input_class() or (self.view.reads_raw_body and self.method in CHANGES):
            refusals.add(413)
        if self.view.input_class():
            refusals.add(415)
        return refusals

    # --- Serializers and fields ---

    def _map_basic_serializer(self, serializer: Any, direction: Any) -> Schema:
        schema = super()._map_basic_serializer(serializer, direction)
        if isinstance(serializer, StrictFields):
            schema["additionalProperties"] = False
            if serializer.example is not None:
                schema["examples"] = [serializer.example]
            return schema
        return self._always_there(serializer, schema)

    def _always_there(self, serializer: Any, schema: Schema) -> Schema:
        """An answer has all its fields, whatever a model lets its own columns do without."""
        properties = schema.get("properties", {})
        for field in properties.values():
            for bound in BOUNDS_OF_INPUT & set(field):
                del field[bound]
        optional = set()
        if not isinstance(serializer, serializers.ModelSerializer):
            optional = {
                name
                for name, field in serializer.fields.items()
                if not field.required and not field.read_only
            }
        return schema | {"required": sorted(set(properties) - optional)}

    def _map_serializer_field(self, field: Any, direction: Any, bypass_extensions: bool = False) -> Schema:
        if isinstance(field, Username):
            return self._with_meta(field, direction, {"type": "string"})
        if isinstance(field, Number) and field.takes_no_number:
            return self._with_meta(field, direction, {"oneOf": [{"type": "number"}, NAMES_OF_NO_NUMBER]})
        schema = super()._map_serializer_field(field, direction, bypass_extensions)
        schema.pop("x-spec-enum-id", None)
        if (
            isinstance(field.root, StrictFields)
            and isinstance(field, serializers.CharField)
            and not field.allow_blank
        ):
            schema.setdefault("minLength", 1)
        return schema

    def _with_meta(self, field: Any, direction: Any, schema: Schema) -> Schema:
        meta = self._get_serializer_field_meta(field, direction)
        if not meta.pop("nullable", False) and not may_be_null(field):
            return meta | schema
        if isinstance(schema.get("type"), str):
            return meta | schema | {"type": [schema["type"], "null"]}
        return meta | {"oneOf": [*schema["oneOf"], {"type": "null"}]}

    def _get_serializer_field_meta(self, field: Any, direction: Any) -> Schema:
        meta = super()._get_serializer_field_meta(field, direction)
        # Titles would be the model's labels for people.
        return {name: value for name, value in meta.items() if name != "title"}


class FiltersExtension(OpenApiFilterExtension):
    """A list's filters, one parameter each."""

    target_class = "core.api.filters.Filters"
    priority = 1

    def get_schema_operation_parameters(
        self, auto_schema: SpectacularAutoSchema, *args: Any, **kwargs: Any
    ) -> list[Schema]:
        filterset = getattr(auto_schema.view, "filterset_class", None)
        return [
            self._parameter(name, filter_)
            for name, filter_ in (filterset.base_filters if filterset else {}).items()
        ]

    def _parameter(self, name: str, filter_: django_filters.Filter) -> Schema:
        schema = self._schema(filter_)
        described = str(filter_.extra.get("help_text", ""))
        return {"name": name, "in": "query", "schema": schema} | (
            {"description": described} if described else {}
        )

    def _schema(self, filter_: django_filters.Filter) -> Schema:
        choices = [str(value) for value, _label in filter_.extra.get("choices", ())]
        match filter_:
            case django_filters.MultipleChoiceFilter():
                return {"type": "array", "items": {"type": "string", "enum": choices}}
            case django_filters.ChoiceFilter():
                return {"type": "string", "enum": choices}
            case django_filters.BooleanFilter():
                return {"type": "boolean"}
            case django_filters.NumberFilter():
                return {"type": "integer"}
            case django_filters.IsoDateTimeFilter():
                return {"type": "string", "format": "date-time"}
            case django_filters.CharFilter():
                return {"type": "string"}
        raise NotImplementedError(f"Say here what {type(filter_).__name__} takes.")


def may_be_null(field: Any) -> bool:
    """Whether a field that names something is null where the model has nothing to name."""
    model = getattr(getattr(field.parent, "Meta", None), "model", None)
    return bool(field.read_only and model and model._meta.get_field(field.source).null)
