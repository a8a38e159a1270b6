"""What a model returned, cut into requests and written as JSON."""

from __future__ import annotations

import base64
import datetime
from typing import Any

import numpy as np
import orjson
import pandas as pd

from serving.model_server.errors import ModelFailed

OPTIONS = orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_NON_STR_KEYS


def row_count(result: Any) -> int | None:
    """How many rows a prediction has; None when it cannot be cut by rows.

    A mapping or a list of arrays is one array per output (ONNX, multi-output predict_proba), each with all
    rows.
    """
    if isinstance(result, np.ndarray) and result.ndim == 0:
        return None
    if isinstance(result, dict) or _per_output(result):
        counts = {row_count(part) for part in (result.values() if isinstance(result, dict) else result)}
        return counts.pop() if len(counts) == 1 else None
    return len(result) if isinstance(result, np.ndarray | pd.DataFrame | pd.Series | list) else None


def rows(result: Any, start: int, stop: int) -> Any:
    """The rows of one request out of a batch's prediction."""
    if isinstance(result, dict):
        return {name: rows(part, start, stop) for name, part in result.items()}
    if _per_output(result):
        return [rows(part, start, stop) for part in result]
    return result.iloc[start:stop] if isinstance(result, pd.DataFrame | pd.Series) else result[start:stop]


def body(result: Any) -> bytes:
    """The answer {"predictions": …}. NaN and infinity become null, as JSON has neither.

    A DataFrame becomes an array of objects, an array nested arrays. Raises ModelFailed for what has no JSON
    form.
    """
    try:
        return orjson.dumps({"predictions": _plain(result)}, option=OPTIONS, default=_default)
    except (TypeError, ValueError) as error:
        raise ModelFailed(f"The model returned what cannot be written as JSON: {error}.") from None


def _per_output(result: Any) -> bool:
    return isinstance(result, list) and bool(result) and all(isinstance(part, np.ndarray) for part in result)


def _plain(result: Any) -> Any:
    if isinstance(result, pd.DataFrame):
        return result.to_dict("records")
    if isinstance(result, pd.Series):
        return result.to_list()
    if isinstance(result, np.ndarray) and not result.dtype.isnative:
        return result.astype(result.dtype.newbyteorder("="))
    return result


def _default(value: Any) -> Any:
    """What orjson does not write by itself."""
    if isinstance(value, np.ndarray):
        return value.tolist()
    if isinstance(value, np.generic):
        return value.item()
    if value is pd.NaT or value is pd.NA:
        return None
    if isinstance(value, datetime.datetime):
        return value.isoformat()
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if isinstance(value, pd.DataFrame | pd.Series):
        return _plain(value)
    raise TypeError(f"a value of type {type(value).__name__}")
