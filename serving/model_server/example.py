"""The rows a model is tried on: its logged input example, or a row made from its signature."""

from __future__ import annotations

import json
import math
from typing import Any

import orjson

from core.sentences import Sentence
from core.sentences import sentence as _
from serving.model_server.column_types import ColumnType
from serving.model_server.errors import CannotLoad, Refused, shortened
from serving.model_server.inputs import Inputs
from serving.model_server.mlmodel import MLModel
from serving.model_server.nested_types import Array, Map, Object
from serving.model_server.scoring import Scoring
from serving.model_server.signature import ColumnSchema
from serving.model_server.tensors import TensorSpec

MAX_EXAMPLE_BYTES = 4 << 20
MAX_EXAMPLE_ROWS = 5
MADE_VALUES: dict[str, Any] = {
    "boolean": False,
    "string": "",
    "binary": "",
    "datetime": "2000-01-01T00:00:00",
    "any": "",
}
LOG_ANOTHER = _("Log an input_example that the model can answer.")


class Example:
    """A request body a model must be able to answer, and where it came from."""

    def __init__(self, model: MLModel, scoring: Scoring) -> None:
        logged = _logged(model)
        self.logged = logged is not None
        self._content = _made(scoring) if logged is None else _shortened(logged)
        if not scoring.takes_params:
            self._content.pop("params", None)
        self._scoring = scoring

    @property
    def source(self) -> Sentence:
        return _("the logged input example") if self.logged else _("a row made from the signature")

    def not_answered(self, why: str) -> Sentence:
        """What to say of a model that could not predict on it."""
        return _("The model could not predict on %(example)s: %(why)s") % {
            "example": self.source,
            "why": shortened(why),
        }

    def inputs(self) -> tuple[Inputs, dict[str, Any]]:
        """The example, through the same checks as any request. Raises CannotLoad when it does not fit."""
        try:
            return self._scoring.from_json(orjson.dumps(self._content))
        except Refused as refused:
            raise CannotLoad(
                _("The logged input example does not fit the signature: %s Log both from the same data.")
                % shortened(refused.detail)
            ) from None


def _logged(model: MLModel) -> dict[str, Any] | None:
    """MLflow writes a ready request beside the example; older versions wrote only the example."""
    info = model.content.get("saved_input_example_info")
    if not isinstance(info, dict):
        return None
    if info.get("serving_input_path"):
        content = _read(model, str(info["serving_input_path"]))
        return content if isinstance(content, dict) else None
    content = _read(model, str(info.get("artifact_path")))
    if info.get("type") == "dataframe" and isinstance(content, dict) and "data" in content:
        return {"dataframe_split": content}
    return {"inputs": content} if info.get("type") == "ndarray" and isinstance(content, dict | list) else None


def _read(model: MLModel, relative: str) -> Any:
    path = model.optional_file(relative)
    if path is None or path.stat().st_size > MAX_EXAMPLE_BYTES:
        return None
    try:
        return _without_nan(
            json.loads(path.read_bytes())
        )  # MLflow writes NaN, which JSON proper does not have
    except (ValueError, RecursionError):
        raise CannotLoad(
            _('The input example "%s" is not valid JSON; log the model again.') % shortened(relative)
        ) from None


def _without_nan(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, list):
        return [_without_nan(item) for item in value]
    return {key: _without_nan(item) for key, item in value.items()} if isinstance(value, dict) else value


def _shortened(content: dict[str, Any]) -> dict[str, Any]:
    """The first rows only: an example may be the whole training set."""
    short = dict(content)
    split = content.get("dataframe_split")
    if isinstance(split, dict) and isinstance(split.get("data"), list):
        short["dataframe_split"] = {"columns": split.get("columns"), "data": split["data"][:MAX_EXAMPLE_ROWS]}
    for name in ("dataframe_records", "instances", "inputs"):
        if isinstance(content.get(name), list):
            short[name] = content[name][:MAX_EXAMPLE_ROWS]
    return short


def _made(scoring: Scoring) -> dict[str, Any]:
    schema = scoring.signature.inputs
    if isinstance(schema, ColumnSchema):
        names = schema.names if schema.named else None
        row = [made_value(column.type) for column in schema.columns]
        return {"dataframe_split": {"columns": names, "data": [row]}}
    tensors = {name: _made_tensor(spec) for name, spec in schema.specs.items()}
    return {"inputs": tensors.get(None, tensors)}


def made_value(kind: ColumnType) -> Any:
    """A harmless value of a type: zero, empty, false."""
    if isinstance(kind, Array):
        return [made_value(kind.items)]
    if isinstance(kind, Map):
        return {"": made_value(kind.values)}
    if isinstance(kind, Object):
        return {name: made_value(inner) for name, (inner, _) in kind.properties.items()}
    return MADE_VALUES.get(kind.name, 0)


def _made_tensor(spec: TensorSpec) -> Any:
    value = made_value(spec.items)
    for size in reversed(spec.shape):
        value = [value] * max(1, size)
    return value
