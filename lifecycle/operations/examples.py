"""A request that fits a model's signature, to show people how to call it."""

import json
import math
from typing import Any

EXAMPLES: dict[str, Any] = {
    "boolean": True,
    "integer": 1,
    "long": 1,
    "float": 0.5,
    "double": 0.5,
    "string": "text",
    "binary": "dGV4dA==",
    "datetime": "2026-01-31T12:00:00",
}


# What people can read; a shape is the uploader's word, and could ask for gigabytes of zeros.
MOST_ZEROS = 1000


def request_example(signature: dict[str, Any] | None) -> str:
    """A JSON body in MLflow's scoring format: one row of plausible values, or a tensor of zeros.

    "" where there is none to show: for a large tensor, or a signature that is not understood.
    """
    try:
        return _example((signature or {}).get("inputs") or [])
    except (AttributeError, KeyError, TypeError):
        return ""


def _example(inputs: list[dict[str, Any]]) -> str:
    if inputs and inputs[0].get("type") == "tensor":
        shape = [1 if size == -1 else size for size in inputs[0]["tensor-spec"]["shape"]]
        return json.dumps({"inputs": _zeros(shape)}) if 0 < math.prod(shape) <= MOST_ZEROS else ""
    columns = [column.get("name", str(index)) for index, column in enumerate(inputs)]
    row = [EXAMPLES.get(str(column.get("type"))) for column in inputs]
    return json.dumps({"dataframe_split": {"columns": columns, "data": [row]}})


def _zeros(shape: list[int]) -> Any:
    return [_zeros(shape[1:]) for _ in range(shape[0])] if shape else 0.0
